#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "data/corpus.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "support/config_error.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Split splits[] = {Split::train, Split::validation, Split::test};

struct Window {
  std::vector<std::int32_t> tokens, targets;
  int group = 0;
  auto operator<=>(const Window&) const = default;
};

// Of lengths 1, 3, 7, 40 and 65, in every split and in two of three domains.
class TokenData : public testing::Test {
 protected:
  TokenData() : vocabulary_(learn()) {
    options_.source = Source::tokens;
    options_.file = (dir_.path() / "tokens.h5").string();
    options_.window = 8;
  }

  static Vocabulary learn() {
    std::vector<std::string> lines;
    for (int i = 0; i < 400; ++i)
      lines.push_back(std::string(static_cast<std::size_t>(i % 7 + 1), 'a') + " bc de\n");
    std::size_t at = 0;
    return Vocabulary::train(
        [&](std::string_view& line) {
          if (at == lines.size()) return false;
          line = lines[at++];
          return true;
        },
        270);
  }

  Corpus corpus() {
    Corpus made(Vocabulary(vocabulary_.model()));
    made.domains = {"one", "none", "two"};
    std::int32_t next = 0;
    for (int split = 0; split < 3; ++split) {
      for (const int domain : {0, 2}) {
        for (const int length : {40, 1, 7, 65, 3}) {
          made.document_begin.push_back(made.tokens.size());
          made.document_domain.push_back(static_cast<std::uint16_t>(domain));
          made.document_split.push_back(static_cast<std::uint8_t>(split));
          std::vector<std::int32_t> tokens;
          for (int t = 0; t + 1 < length; ++t) tokens.push_back(2 + next++ % 268);
          tokens.push_back(Vocabulary::end_of_document);
          made.tokens.append(tokens);
        }
      }
    }
    made.document_begin.push_back(made.tokens.size());
    return made;
  }

  Dataset load(const std::function<void(Corpus&)>& change = {}) {
    Corpus made = corpus();
    if (change) change(made);
    write_corpus(options_.file, made);
    return load_dataset(options_, 1);
  }

  static std::vector<Window> read(const Dataset& dataset, Split split, std::vector<index_t> samples) {
    const auto window = static_cast<std::size_t>(dataset.window());
    std::vector<std::int32_t> tokens(samples.size() * window, -1), targets = tokens;
    std::vector<std::int32_t> groups(samples.size(), -1);
    dataset.fill_tokens(split, samples, tokens, targets);
    dataset.fill_groups(split, samples, groups);
    std::vector<Window> windows;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto cut = [&](const std::vector<std::int32_t>& of) {
        const auto begin = of.begin() + static_cast<std::ptrdiff_t>(i * window);
        return std::vector<std::int32_t>(begin, begin + static_cast<std::ptrdiff_t>(window));
      };
      windows.push_back({cut(tokens), cut(targets), groups[i]});
    }
    return windows;
  }
  static std::vector<Window> read_all(const Dataset& dataset, Split split) {
    std::vector<index_t> samples(static_cast<std::size_t>(dataset.size(split)));
    std::iota(samples.begin(), samples.end(), index_t{0});
    return read(dataset, split, samples);
  }

  // As docs/language_models.md says it.
  std::vector<Window> expected(Split split) {
    const Corpus made = corpus();
    std::map<int, std::vector<std::vector<std::int32_t>>> streams;  // by domain
    for (index_t d = 0; d < made.documents(); ++d) {
      const auto i = static_cast<std::size_t>(d);
      if (made.document_split[i] != static_cast<int>(split)) continue;
      auto& of_domain = streams[made.document_domain[i]];
      if (!options_.pack || of_domain.empty()) of_domain.emplace_back();
      const IndexRange range = made.tokens_of(d);
      for (index_t t = range.begin; t < range.end; ++t) of_domain.back().push_back(made.tokens[t]);
    }
    std::vector<Window> windows;
    const auto window = options_.window;
    for (const auto& [domain, of_domain] : streams) {
      for (const auto& stream : of_domain) {
        for (auto at = stream.begin(); stream.end() - at > window; at += window)
          windows.push_back({{at, at + window}, {at + 1, at + 1 + window}, domain});
      }
    }
    return windows;
  }

  double bytes_per_target(const std::vector<Window>& windows) const {
    double bytes = 0, targets = 0;
    for (const Window& window : windows) {
      for (const std::int32_t target : window.targets) {
        bytes += static_cast<double>(vocabulary_.pieces()[static_cast<std::size_t>(target)].bytes.size());
        ++targets;
      }
    }
    return bytes / targets;
  }

  test::TemporaryDirectory dir_;
  Vocabulary vocabulary_;
  Options options_;
};

TEST_F(TokenData, windows_are_cut_from_all_documents_of_a_domain_and_split) {
  for (const bool pack : {true, false}) {
    options_.pack = pack;
    for (const index_t window : {1, 2, 3, 8, 20}) {
      options_.window = window;
      const Dataset dataset = load();
      for (const Split split : splits) {
        const auto wanted = expected(split);
        EXPECT_EQ(read_all(dataset, split), wanted) << pack << " " << window;
        EXPECT_GT(wanted.size(), 0U);
        const auto last = static_cast<index_t>(wanted.size()) - 1;
        EXPECT_THAT(read(dataset, split, {last, 0, last}),
                    ElementsAre(wanted.back(), wanted[0], wanted.back()));
      }
    }
  }
}

TEST_F(TokenData, packed_windows_hold_documents_that_are_shorter_than_they) {
  options_.window = 50;
  const auto windows = read_all(load(), Split::train);
  EXPECT_EQ(windows.size(), 4U);  // 116 tokens a domain
  EXPECT_EQ(std::ranges::count(windows[0].tokens, Vocabulary::end_of_document), 3);
  options_.pack = false;
  EXPECT_EQ(read_all(load(), Split::train).size(), 2U);
}

TEST_F(TokenData, classes_are_the_vocabulary_and_groups_the_domains) {
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 270);
  EXPECT_EQ(dataset.window(), 8);
  EXPECT_EQ(dataset.counted(), "tokens");
  EXPECT_EQ(dataset.token_name(), "token");
  EXPECT_THAT(dataset.group_names(), ElementsAre("one", "none", "two"));
  EXPECT_EQ(dataset.group_count(), 3);
  EXPECT_EQ(dataset.rows(Split::train), nullptr);
}

TEST_F(TokenData, bytes_of_a_token_are_those_of_the_targets) {
  for (const bool pack : {true, false}) {
    options_.pack = pack;
    const Dataset dataset = load();
    for (const Split split : splits) {
      const double wanted = bytes_per_target(expected(split));
      EXPECT_DOUBLE_EQ(dataset.bytes_per_token(split), wanted);
      EXPECT_GT(wanted, 0.9);
    }
  }
}

TEST_F(TokenData, evaluations_may_see_some_windows_alone_evenly_spread) {
  for (const bool pack : {true, false}) {
    options_.pack = pack;
    for (const index_t most : {1, 2, 5, 9, 1000}) {
      options_.evaluation_samples = most;
      const Dataset dataset = load();
      EXPECT_EQ(read_all(dataset, Split::train), expected(Split::train));
      for (const Split split : {Split::validation, Split::test}) {
        const auto all = expected(split);
        const auto count = std::ssize(all);
        std::vector<Window> wanted;
        for (index_t k = 0; k < std::min(most, count); ++k)
          wanted.push_back(all[static_cast<std::size_t>(most < count ? k * count / most : k)]);
        EXPECT_EQ(read_all(dataset, split), wanted) << pack << " " << most;
        EXPECT_DOUBLE_EQ(dataset.bytes_per_token(split), bytes_per_target(wanted));
      }
    }
  }
}

TEST_F(TokenData, the_digest_is_of_the_documents) {
  const std::string digest = load().identity().digest;
  EXPECT_EQ(load().identity().digest, digest);
  options_.window = 4;
  EXPECT_EQ(load().identity().digest, digest);
  const auto changed = [&](const std::function<void(Corpus&)>& change) {
    return load(change).identity().digest;
  };
  EXPECT_NE(changed([](Corpus& c) { c.domains[2] = "too"; }), digest);
  EXPECT_NE(changed([](Corpus& c) { c.document_domain[4] = 1; }), digest);
  EXPECT_NE(changed([](Corpus& c) { c.tokens.bytes()[0] ^= std::byte{1}; }), digest);
  const auto one_domain = [](Corpus& c) { std::ranges::fill(c.document_domain, std::uint16_t{0}); };
  EXPECT_NE(changed([&](Corpus& c) {
              one_domain(c);
              c.document_split[9] = 1;
            }),
            changed(one_domain));
}

TEST_F(TokenData, a_split_without_a_sample_is_refused) {
  options_.window = 200;
  EXPECT_THAT(
      test::config_error_of([&] { load(); }),
      HasSubstr("has no training sample (its documents are 10 for training, 10 for validation and 10 for test, "
                "and a sample takes 201 tokens of those of a domain)"));
  options_.window = 8;
  EXPECT_THAT(test::config_error_of([&] {
                load([](Corpus& c) {
                  for (std::uint8_t& split : c.document_split) split = std::min<std::uint8_t>(split, 1);
                  std::ranges::fill(c.document_domain, std::uint16_t{0});
                });
              }),
              HasSubstr("has no test sample"));
}

TEST_F(TokenData, keys_without_a_meaning_are_refused) {
  const auto refusal = [&](const std::function<void(Options&)>& change) {
    Options options = options_;
    change(options);
    return test::config_error_of([&] { validate(options); });
  };
  validate(options_);
  EXPECT_THAT(refusal([](Options& o) { o.file = ""; }), HasSubstr("data.file is empty"));
  EXPECT_THAT(refusal([](Options& o) { o.validation_samples = 3; }), HasSubstr("data.validation_samples = 3"));
  EXPECT_THAT(refusal([](Options& o) { o.source = Source::random; }), HasSubstr("data.file = "));
  EXPECT_THAT(refusal([](Options& o) {
                o.source = Source::random;
                o.file = "";
              }),
              HasSubstr("data.window = 8 with data.source = random"));
  EXPECT_THAT(refusal([](Options& o) {
                o = Options();
                o.source = Source::random;
                o.evaluation_samples = 5;
              }),
              HasSubstr("data.evaluation_samples = 5 with data.source = random"));
  EXPECT_THAT(refusal([](Options& o) {
                o = Options();
                o.source = Source::text;
                o.dir = "texts";
                o.pack = false;
              }),
              HasSubstr("data.pack = no with data.source = text"));
  EXPECT_THAT(refusal([](Options& o) {
                o = Options();
                o.source = Source::text;
                o.dir = "texts";
                o.window = 4096;
              }),
              HasSubstr("data.window = 4096 with data.source = text"));
}

}  // namespace
}  // namespace switchyard::data
