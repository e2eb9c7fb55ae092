// What a text read token by token is given as scores, beside the pass of an evaluation over a whole window.
#include "model/token_reader.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "ops/reduce.hpp"
#include "ops/tokens.hpp"
#include "support/measure.hpp"

namespace switchyard::model {
namespace {

constexpr std::int32_t end_of_document = 3;
constexpr index_t vocabulary = 71, window = 272;  // more than a pass of the reader has

std::vector<std::int32_t> draw_tokens(index_t count, std::uint64_t key) {
  std::vector<std::int32_t> tokens;
  for (index_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<std::int32_t>(
        Philox::at(key, RandomUse::test, static_cast<std::uint64_t>(i)).bits64() % vocabulary));
  return tokens;
}

ModelOptions options_of(Family family) {
  ModelOptions options;
  options.networks.family = family;
  options.networks.gate = family == Family::tokens ? "dense:experts" : "";
  options.networks.expert = family == Family::tokens ? "dense:24 relu dense:width" : "";
  options.networks.tokens = {.width = 36, .blocks = 2};
  options.networks.transformer = {
      .width = 36, .layers = 4, .heads = 3, .hidden = 300, .window = window, .mixture_every = 2};
  options.moe.experts = 5;
  options.moe.hidden = 40;
  options.moe.top_k = 2;
  options.batch_size = 4;
  options.shards = 3;
  options.seed = 5;
  return options;
}

// Of each token of `sequences` windows, one behind the other: [N, V].
std::vector<float> scores_of_evaluation(TokenModel& model, comm::Resources resources,
                                        const std::vector<std::int32_t>& tokens) {
  resources.context.workspace().reset();
  nn::BatchTiles tiles;
  const auto rows = std::ssize(tokens);
  tiles.set_sharded(resources.data_plane, rows / window, 3, window);
  std::vector<index_t> ids(tokens.size());
  const std::vector<std::int32_t> groups(tokens.size());
  std::vector<std::int32_t> document_begin(tokens.size());
  for (index_t row = 0; row < rows; ++row) {
    if (const index_t place = row % window; place > 0)
      document_begin[as_size(row)] = tokens[as_size(row - 1)] == end_of_document
                                         ? static_cast<std::int32_t>(place)
                                         : document_begin[as_size(row - 1)];
  }
  const IndexRange mine{tiles.first_row(), tiles.first_row() + tiles.local_rows()};
  const nn::Batch batch{
      .tiles = &tiles,
      .ids = Span<const index_t>(ids).subspan(mine.begin, mine.size()),
      .groups = Span<const std::int32_t>(groups).subspan(mine.begin, mine.size()),
      .tokens = Span<const std::int32_t>(tokens).subspan(mine.begin, mine.size()),
      .document_begin = Span<const std::int32_t>(document_begin).subspan(mine.begin, mine.size())};
  PhaseClock clock;
  const tensor::Matrix scores = model.logits({resources.context, batch, nn::Mode::evaluation, clock});
  return {scores.data, scores.data + scores.rows * scores.cols};
}

class Reading : public ::testing::Test {
 protected:
  // test(model, resources) on each of so many ranks.
  static void on_ranks(int ranks, const ModelOptions& options, const auto& test) {
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      comm::HostDataPlane plane(communicator);
      device::Context context(2);
      const comm::Resources resources{communicator, plane, context};
      TokenModel model(
          options, {.sample = {1, 1, window}, .classes = vocabulary, .groups = 1, .window = window}, resources);
      test(model, resources);
    });
  }
  static void expect_same(Span<const float> found, const float* expected, index_t token) {
    EXPECT_EQ(std::memcmp(found.data(), expected, found.size() * sizeof(float)), 0) << "token " << token;
  }
};

TEST_F(Reading, has_the_bits_of_an_evaluation) {
  const std::vector<std::int32_t> tokens = draw_tokens(3 * window, 1);
  for (const Family family : {Family::tokens, Family::transformer}) {
    for (const index_t sub_heads : {index_t{1}, index_t{3}}) {
      ModelOptions options = options_of(family);
      if (family == Family::transformer) {
        options.moe.sub_heads = sub_heads;
        options.moe.shared_hidden = sub_heads > 1 ? 20 : 0;
        options.networks.transformer.across_documents = options.networks.transformer.tied = sub_heads == 1;
      }
      std::vector<float> expected;
      on_ranks(1, options, [&](TokenModel& model, comm::Resources resources) {
        model.values_changed();
        expected = scores_of_evaluation(model, resources, tokens);
      });
      for (const int ranks : {1, 3}) {
        on_ranks(ranks, options, [&](TokenModel& model, comm::Resources resources) {
          model.values_changed();
          TokenReader reader(model, resources, window, end_of_document);
          // Of the second window: some at once, then one by one, then all anew.
          const auto second = Span<const std::int32_t>(tokens).subspan(window, window);
          for (const index_t length : {20, 21, 22, 23, 200, 201, 272, 1, 2, 271, 272}) {
            const Span<const float> found = reader.scores(second.first(length));
            ASSERT_EQ(!found.empty(), resources.communicator.rank().index() == ranks - 1);
            if (!found.empty())
              expect_same(found, expected.data() + (window + length - 1) * vocabulary, length);
          }
        });
      }
    }
  }
}

TEST_F(Reading, has_the_loss_of_an_evaluation) {
  const std::vector<std::int32_t> tokens = draw_tokens(window + 1, 3);
  const auto seen = Span<const std::int32_t>(tokens).first(window);
  const auto targets = Span<const std::int32_t>(tokens).last(window);
  on_ranks(1, options_of(Family::transformer), [&](TokenModel& model, comm::Resources resources) {
    model.values_changed();
    nn::BatchTiles tiles;
    tiles.set_sharded(resources.data_plane, 1, 1, window);
    const std::vector<index_t> ids(as_size(window));
    const std::vector<std::int32_t> groups(as_size(window)), document_begin(as_size(window));
    const nn::Batch batch{.tiles = &tiles,
                          .ids = ids,
                          .labels = targets,
                          .groups = groups,
                          .tokens = seen,
                          .document_begin = document_begin};
    PhaseClock clock;
    moe::Statistics statistics = model.statistics();
    Vector<double> regularisers;
    measure(model, {resources.context, batch, nn::Mode::evaluation, clock}, statistics, regularisers);

    TokenReader reader(model, resources, window);
    std::vector<float> scores, losses(as_size(window));
    for (index_t length = 1; length <= window; ++length) {
      const Span<const float> found = reader.scores(seen.first(length));
      scores.insert(scores.end(), found.begin(), found.end());
    }
    std::vector<std::int32_t> predicted(as_size(window));
    ops::cross_entropy(resources.context, {scores.data(), window, vocabulary}, targets, 0.0F, losses,
                       predicted);
    double loss = 0;
    ops::add_sum(resources.context, losses, loss);
    EXPECT_EQ(loss, statistics.likelihood_loss_sum);
    EXPECT_GT(loss, 0);
  });
}

TEST_F(Reading, knows_what_it_has_read) {
  on_ranks(1, options_of(Family::transformer), [&](TokenModel& model, comm::Resources resources) {
    model.values_changed();
    TokenReader reader(model, resources, window, end_of_document);
    std::vector<std::int32_t> tokens = draw_tokens(30, 2);
    (void)reader.scores(tokens);
    for (const std::size_t changed : {std::size_t{29}, std::size_t{12}, std::size_t{0}}) {
      tokens[changed] = (tokens[changed] + 1) % vocabulary;
      const Span<const float> found = reader.scores(tokens);
      const std::vector<float> kept(found.begin(), found.end());
      TokenReader anew(model, resources, window, end_of_document);
      expect_same(anew.scores(tokens), kept.data(), static_cast<index_t>(changed));
    }
  });
}

}  // namespace
}  // namespace switchyard::model
