#include "moe/regularisers/similarity.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <random>

#include "base/ids.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "ops/moe/kernels/regularisers.hpp"
#include "support/row_places.hpp"

namespace switchyard::moe {
namespace {

using ops::SimilaritySums;
using ops::SimilarityWeights;
using ops::kernels::similarity_loss;
using ops::kernels::similarity_slope;

struct Batch {
  index_t samples, features, experts;
  std::vector<float> rows, scores;
};

Batch random_batch(index_t samples, index_t features, index_t experts) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 1);
  Batch batch{samples, features, experts, std::vector<float>(as_size(samples * features)),
              std::vector<float>(as_size(samples * experts))};
  for (float& value : batch.rows) value = normal(random);
  for (float& value : batch.scores) value = normal(random);
  return batch;
}

struct Measured {
  SimilaritySums sums;
  std::vector<float> weighted_distances;       // [B, E]
  std::vector<double> distances, same_expert;  // [B]
};

// scattered: rows are read through a table, as samples of a shuffled data set are.
Measured measure(const Batch& batch, int ranks = 1, int threads = 1, index_t shards = 4,
                 bool scattered = false) {
  Measured all{{},
               std::vector<float>(batch.scores.size()),
               std::vector<double>(as_size(batch.samples)),
               std::vector<double>(as_size(batch.samples))};
  std::mutex mutex;
  comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
    device::Context context(threads);
    comm::HostDataPlane data_plane(communicator);
    nn::BatchTiles tiles;
    tiles.set_sharded(data_plane, batch.samples, shards);
    const index_t first = tiles.first_row();
    const index_t rows = tiles.local_rows();
    const float* const mine = batch.rows.data() + first * batch.features;
    test::RowPlaces<const float> table;
    for (index_t n = 0; n < rows; ++n) table.push_back(mine + n * batch.features);
    const tensor::RowSource features = scattered
                                           ? table.view(batch.features)
                                           : tensor::RowSource(tensor::ConstMatrix(mine, rows, batch.features));
    const tensor::ConstMatrix scores(batch.scores.data() + first * batch.experts, rows, batch.experts);
    SimilarityPairs pairs;
    const SimilarityTerms terms = pairs.measure(context, tiles, features, scores);
    const std::lock_guard lock(mutex);
    std::copy_n(terms.weighted_distances.data, rows * batch.experts,
                all.weighted_distances.begin() + first * batch.experts);
    std::ranges::copy(terms.distances, all.distances.begin() + first);
    std::ranges::copy(terms.same_expert, all.same_expert.begin() + first);
  });
  for (index_t n = 0; n < batch.samples; ++n) {
    all.sums.distance += all.distances[as_size(n)];
    all.sums.same_expert += all.same_expert[as_size(n)];
  }
  return all;
}

double loss(const Batch& batch, const SimilarityWeights& weights = {.scaled = 1}) {
  return similarity_loss(weights, measure(batch).sums, {batch.samples, batch.experts});
}

// Scores whose softmax is one-hot.
void decide(Batch& batch, const std::vector<index_t>& expert_of) {
  std::ranges::fill(batch.scores, 0.0F);
  for (index_t n = 0; n < batch.samples; ++n)
    batch.scores[as_size(n * batch.experts + expert_of[as_size(n)])] = 200;
}

// Two tight clusters of 6 samples each, samples of both in turn.
Batch two_clusters() {
  Batch batch = random_batch(12, 20, 2);
  for (index_t n = 0; n < 12; ++n) {
    for (index_t i = 0; i < 20; ++i) {
      float& value = batch.rows[as_size(n * 20 + i)];
      value = 0.1F * value + (n % 2 == 0 ? 3.0F : -3.0F);
    }
  }
  return batch;
}

TEST(SimilarityLoss, of_two_clusters_is_least_when_each_has_its_own_expert) {
  Batch batch = two_clusters();
  const auto of = [&](const std::vector<index_t>& experts) {
    decide(batch, experts);
    return loss(batch);
  };
  const double best = of({0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
  const double swapped = of({1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0});
  const double one_moved = of({1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
  const double mixed = of({0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  const double collapsed = of(std::vector<index_t>(12, 0));
  std::ranges::fill(batch.scores, 0.5F);
  const double undecided = loss(batch);
  EXPECT_NEAR(swapped, best, 1e-12) << "experts have no order";
  EXPECT_LT(best, 0.05);
  EXPECT_LT(best + 0.1, one_moved);
  EXPECT_LT(one_moved, mixed);
  EXPECT_LT(mixed, undecided) << "without pairs of one sample half of the pairs count less";
  EXPECT_LT(undecided, collapsed);
  // No assignment of all is better.
  double within[12][12], all = 0;
  for (index_t a = 0; a < 12; ++a) {
    for (index_t b = 0; b < 12; ++b) {
      double square = 0;
      for (index_t i = 0; i < 20; ++i) {
        square += std::pow(batch.rows[as_size(a * 20 + i)] - batch.rows[as_size(b * 20 + i)], 2);
      }
      all += within[a][b] = std::sqrt(square);
    }
  }
  for (index_t code = 0; code < 1 << 12; ++code) {
    double sum = 0;
    for (index_t a = 0; a < 12; ++a) {
      for (index_t b = 0; b < 12; ++b) sum += (code >> a & 1) == (code >> b & 1) ? within[a][b] : 0.0;
    }
    ASSERT_GE(sum / all, best - 1e-6) << "assignment " << code;
  }
}

class SimilarityOfExperts : public testing::TestWithParam<index_t> {};
INSTANTIATE_TEST_SUITE_P(experts, SimilarityOfExperts, testing::Values(2, 3, 8, 64));

TEST_P(SimilarityOfExperts, is_the_weight_at_collapse_and_a_share_of_it_for_a_gate_that_does_not_decide) {
  Batch batch = random_batch(30, 10, GetParam());
  std::ranges::fill(batch.scores, -1.5F);
  EXPECT_NEAR(loss(batch, {.scaled = 0.7}), 0.7 / static_cast<double>(GetParam()), 1e-6);
  decide(batch, std::vector<index_t>(30, 1));
  EXPECT_NEAR(loss(batch, {.scaled = 0.7}), 0.7, 1e-6);
}

// One expert that nobody uses changes nothing in the scaled form; in the published one, by definition, it does.
TEST_P(SimilarityOfExperts, scaled_does_not_change_with_experts_that_nobody_uses) {
  Batch few = random_batch(30, 10, 2), many = random_batch(30, 10, GetParam() + 1);
  std::vector<index_t> expert_of;
  for (index_t n = 0; n < 30; ++n) expert_of.push_back(n * 7 % 3 == 0 ? 1 : 0);
  decide(few, expert_of);
  decide(many, expert_of);
  EXPECT_NEAR(loss(few), loss(many), 1e-6);
  EXPECT_NEAR(loss(few, {.same = 0.01}) * 2, loss(many, {.same = 0.01}) * static_cast<double>(GetParam() + 1),
              1e-4);
}

// A sample and its double are no pair of one sample: their distance is 0, as float32 sees it
// (ops/moe/pairwise.hpp).
TEST(SimilarityLoss, scaled_does_not_change_when_all_samples_count_twice_nor_with_their_unit) {
  const Batch once = random_batch(40, 30, 5);
  Batch twice = once, tripled = once;
  twice.samples = 80;
  twice.rows.insert(twice.rows.end(), once.rows.begin(), once.rows.end());
  twice.scores.insert(twice.scores.end(), once.scores.begin(), once.scores.end());
  EXPECT_NEAR(loss(twice), loss(once), 2e-5);
  for (float& value : tripled.rows) value *= 3;
  EXPECT_NEAR(loss(tripled), loss(once), 1e-6);
  // The published form does: S_same grows with the pairs, S_different / B^2 does not.
  EXPECT_NEAR(loss(twice, {.same = 1}) / loss(once, {.same = 1}), 4, 1e-4);
  EXPECT_NEAR(loss(twice, {.different = 1}) / loss(once, {.different = 1}), 1, 1e-4);
  // Gradients of one sample: half in the mean over twice as many.
  const auto slope = [](const Batch& batch) {
    const Measured m = measure(batch);
    return similarity_slope({.scaled = 1}, m.sums, {batch.samples, batch.experts}) *
           static_cast<double>(m.weighted_distances[3]);
  };
  EXPECT_NEAR(slope(twice) / slope(once), 0.5, 1e-4);
}

TEST(SimilarityLoss, of_equal_samples_is_zero_and_so_is_that_of_one) {
  Batch one = random_batch(1, 10, 3);
  EXPECT_EQ(loss(one), 0.0);
  EXPECT_EQ(similarity_slope({.scaled = 1}, measure(one).sums, {1, 3}), 0.0);
  Batch equal = random_batch(9, 10, 3);
  std::ranges::fill(equal.rows, 0.0F);
  EXPECT_EQ(loss(equal), 0.0);
  EXPECT_EQ(similarity_slope({.scaled = 1}, measure(equal).sums, {9, 3}), 0.0);
}

// D = 2 (3 + 4 + 5) for points at the corners of a triangle; p = (1, 0), (1/2, 1/2), (0, 1), so that
// G = 2 (3/2 + 0 + 5/2).
TEST(SimilarityLoss, of_a_triangle_by_hand) {
  const Batch batch{3, 2, 2, {0, 0, 3, 0, 0, 4}, {200, 0, 0, 0, 0, 200}};
  const Measured m = measure(batch);
  EXPECT_NEAR(m.sums.distance, 24, 1e-5);
  EXPECT_NEAR(m.sums.same_expert, 8, 1e-5);
  EXPECT_NEAR(loss(batch), 1.0 / 3, 1e-6);
  EXPECT_NEAR(loss(batch, {.same = 1, .different = 1}), 8.0 / 2 - 16.0 / 2 / 9, 1e-5);
  // V_e of the first sample: 3 p_e of the second + 4 p_e of the third.
  EXPECT_NEAR(m.weighted_distances[0], 1.5, 1e-6);
  EXPECT_NEAR(m.weighted_distances[1], 1.5 + 4, 1e-6);
  EXPECT_DOUBLE_EQ(similarity_slope({.scaled = 0.5}, {24, 8}, {3, 2}), 2 * 0.5 / 24);
  EXPECT_DOUBLE_EQ(similarity_slope({.same = 0.5, .different = 3}, {24, 8}, {3, 2}), 2 * (0.25 + 3.0 / 2 / 9));
}

// Blocks of columns and of rows end inside this batch, and shards of 275 rows are more than one block.
TEST(SimilarityPairs, has_the_same_bits_on_any_number_of_ranks_and_threads) {
  static_assert(SimilarityPairs::row_block < 275 && SimilarityPairs::column_block < 1100);
  for (const index_t features : {37, 300}) {  // the library has two ways to multiply
    const Batch batch = random_batch(1100, features, 6);
    const Measured alone = measure(batch);
    for (const int ranks : {1, 2, 3, 4, 7}) {
      for (const int threads : {1, 3}) {
        const bool scattered = threads == 3;
        SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(threads) + " threads");
        const Measured found = measure(batch, ranks, threads, 4, scattered);
        EXPECT_EQ(found.weighted_distances, alone.weighted_distances);
        EXPECT_EQ(found.distances, alone.distances);
        EXPECT_EQ(found.same_expert, alone.same_expert);
      }
    }
  }
}

TEST(SimilarityPairs, sums_every_pair_once_whatever_the_blocks) {
  const Batch batch = random_batch(700, 9, 3);
  const Measured got = measure(batch, 1, 1, 2);
  for (index_t a = 0; a < batch.samples; a += 37) {
    double all = 0;
    std::vector<double> weighted(3);
    for (index_t b = 0; b < batch.samples; ++b) {
      double square = 0, total = 0;
      for (index_t i = 0; i < 9; ++i) {
        square += std::pow(batch.rows[as_size(a * 9 + i)] - batch.rows[as_size(b * 9 + i)], 2);
      }
      all += std::sqrt(square);
      for (index_t e = 0; e < 3; ++e) total += std::exp(batch.scores[as_size(b * 3 + e)]);
      for (index_t e = 0; e < 3; ++e)
        weighted[as_size(e)] += std::sqrt(square) * std::exp(batch.scores[as_size(b * 3 + e)]) / total;
    }
    EXPECT_NEAR(got.distances[as_size(a)], all, 1e-5 * all);
    for (index_t e = 0; e < 3; ++e) {
      EXPECT_NEAR(got.weighted_distances[as_size(a * 3 + e)], weighted[as_size(e)],
                  1e-5 * weighted[as_size(e)]);
    }
  }
}

// Never all pairs at once: the step's memory grows with the batch, not with its square.
TEST(SimilarityPairs, holds_no_matrix_of_all_pairs) {
  device::Context context(2);
  const Batch batch = random_batch(4000, 3, 2);
  comm::run_ranks(1, [&](comm::Communicator& communicator) {
    comm::HostDataPlane data_plane(communicator);
    nn::BatchTiles tiles;
    tiles.set_sharded(data_plane, batch.samples, 4);
    SimilarityPairs pairs;
    (void)pairs.measure(context, tiles, tensor::ConstMatrix(batch.rows.data(), 4000, 3),
                        {batch.scores.data(), 4000, 2});
  });
  EXPECT_LT(context.workspace().used_bytes(),
            2 * SimilarityPairs::row_block * SimilarityPairs::column_block * sizeof(float) + 4000 * 100);
}

}  // namespace
}  // namespace switchyard::moe
