#include "moe/routing_statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.hpp"

namespace switchyard::moe {
namespace {

// One sample, as the layer would count it.
struct Sample {
  std::vector<double> gate;  // sums to 1
  index_t label = 0;
  index_t predicted = 0;
  double loss = 0;
};

std::size_t largest(const std::vector<double>& gate) {
  return static_cast<std::size_t>(std::ranges::max_element(gate) - gate.begin());
}

RoutingStatistics counted(const std::vector<Sample>& samples, index_t experts, index_t classes) {
  RoutingStatistics statistics(experts, {classes});
  for (const Sample& sample : samples) {
    const auto expert = static_cast<index_t>(largest(sample.gate));
    statistics.rows() += 1;
    statistics.load(expert) += 1;
    statistics.by_label(sample.label, expert) += 1;
    statistics.by_prediction(sample.predicted, expert) += 1;
    for (std::size_t e = 0; e < sample.gate.size(); ++e) {
      statistics.importance[e] += sample.gate[e];
      if (sample.gate[e] > 0) statistics.entropy_sum -= sample.gate[e] * std::log2(sample.gate[e]);
    }
  }
  return statistics;
}

std::vector<double> one_hot(index_t experts, index_t expert) {
  std::vector<double> gate(static_cast<std::size_t>(experts), 0.0);
  gate[static_cast<std::size_t>(expert)] = 1.0;
  return gate;
}

std::vector<Sample> random_samples(std::size_t count, index_t experts, index_t classes) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> uniform(0.01, 1.0);
  std::uniform_int_distribution<index_t> label(0, classes - 1);
  std::vector<Sample> samples(count);
  for (Sample& sample : samples) {
    sample.gate.resize(static_cast<std::size_t>(experts));
    for (double& weight : sample.gate) weight = std::pow(uniform(random), 4);
    const double sum = std::accumulate(sample.gate.begin(), sample.gate.end(), 0.0);
    for (double& weight : sample.gate) weight /= sum;
    sample.label = label(random);
    sample.predicted = random() % 3 == 0 ? label(random) : sample.label;
    sample.loss = uniform(random);
  }
  return samples;
}

class KnownAnswers : public testing::TestWithParam<index_t> {};
INSTANTIATE_TEST_SUITE_P(experts, KnownAnswers, testing::Values(1, 2, 3, 5, 8, 64));

TEST_P(KnownAnswers, a_perfect_partition_tells_the_class_from_the_expert) {
  const index_t experts = GetParam();
  std::vector<Sample> samples;
  for (index_t i = 0; i < 20 * experts; ++i)
    samples.push_back({one_hot(experts, i % experts), i % experts, i % experts, 0});
  const RoutingStatistics statistics = counted(samples, experts, experts);
  const double bits = std::log2(static_cast<double>(experts));
  EXPECT_NEAR(statistics.mutual_information_true(), bits, 1e-12);
  EXPECT_NEAR(statistics.mutual_information_predicted(), bits, 1e-12);
  EXPECT_NEAR(statistics.usage_entropy(), bits, 1e-12);
  EXPECT_EQ(statistics.sample_entropy(), 0.0);
  EXPECT_THAT(statistics.dead_experts(), testing::IsEmpty());
}

// Seven classes to each expert, as by_label:experts would route them: what is left in doubt is the class.
TEST_P(KnownAnswers, a_partition_of_equal_classes_tells_log2_of_the_experts) {
  const index_t experts = GetParam();
  const index_t classes = 7 * experts;
  std::vector<Sample> samples;
  for (index_t i = 0; i < 3 * classes; ++i) {
    const index_t label = i % classes;
    // A wrong prediction within the expert's own classes says as much of the expert.
    samples.push_back({one_hot(experts, label / 7), label, i % 2 == 0 ? label : label / 7 * 7, 0});
  }
  const RoutingStatistics statistics = counted(samples, experts, classes);
  const double bits = std::log2(static_cast<double>(experts));
  EXPECT_NEAR(statistics.mutual_information_true(), bits, 1e-12);
  EXPECT_NEAR(statistics.mutual_information_predicted(), bits, 1e-12);
  EXPECT_NEAR(statistics.usage_entropy(), bits, 1e-12);
  EXPECT_EQ(statistics.sample_entropy(), 0.0);
}

// Exactly: the shares of 39 classes are numbers that float64 rounds.
TEST(RoutingStatistics, of_a_single_expert_are_zero) {
  std::vector<Sample> samples;
  for (index_t i = 0; i < 211; ++i) samples.push_back({{1.0}, i % 39, i % 23, 0.5});
  const RoutingStatistics statistics = counted(samples, 1, 39);
  EXPECT_EQ(statistics.mutual_information_true(), 0.0);
  EXPECT_EQ(statistics.mutual_information_predicted(), 0.0);
  EXPECT_EQ(statistics.usage_entropy(), 0.0);
  EXPECT_EQ(statistics.sample_entropy(), 0.0);
  EXPECT_THAT(statistics.expert_share(), testing::ElementsAre(1.0));
}

TEST_P(KnownAnswers, one_expert_for_everything_tells_nothing) {
  const index_t experts = GetParam();
  std::vector<Sample> samples;
  for (index_t i = 0; i < 100; ++i) samples.push_back({one_hot(experts, 0), i % 10, i % 7, 0});
  const RoutingStatistics statistics = counted(samples, experts, 10);
  EXPECT_NEAR(statistics.mutual_information_true(), 0.0, 1e-12);
  EXPECT_NEAR(statistics.mutual_information_predicted(), 0.0, 1e-12);
  EXPECT_GE(statistics.mutual_information_true(), 0.0);
  EXPECT_EQ(statistics.usage_entropy(), 0.0);
  EXPECT_EQ(statistics.expert_share().front(), 1.0);
  EXPECT_EQ(statistics.dead_experts().size(), static_cast<std::size_t>(experts - 1));
}

TEST_P(KnownAnswers, an_undecided_gate_has_the_largest_sample_entropy) {
  const index_t experts = GetParam();
  const double weight = 1.0 / static_cast<double>(experts);
  const std::vector<double> gate(static_cast<std::size_t>(experts), weight);
  const RoutingStatistics statistics = counted(std::vector<Sample>(50, {gate, 0, 0, 0}), experts, 2);
  const double bits = std::log2(static_cast<double>(experts));
  EXPECT_NEAR(statistics.sample_entropy(), bits, 1e-12);
  EXPECT_NEAR(statistics.usage_entropy(), bits, 1e-12);
  for (const double share : statistics.importance_share()) EXPECT_NEAR(share, weight, 1e-12);
}

// Where one of several experts is chosen, a sample has that expert's weight alone: they do not add up to 1.
TEST_P(KnownAnswers, the_usage_of_an_even_top_1_gate_has_the_largest_entropy) {
  const index_t experts = GetParam();
  RoutingStatistics statistics(experts, {2});
  statistics.rows() = 10 * experts;
  std::ranges::fill(statistics.importance, 10.0 / static_cast<double>(experts));
  EXPECT_NEAR(statistics.usage_entropy(), std::log2(static_cast<double>(experts)), 1e-12);
}

TEST(RoutingStatistics, the_usage_of_a_top_1_gate_leaves_dead_experts_out) {
  RoutingStatistics statistics(4, {2});
  statistics.rows() = 100;
  statistics.importance = {15.0, 0.0, 15.0, 0.0};
  EXPECT_NEAR(statistics.usage_entropy(), 1.0, 1e-12);
}

// H(E) = 1, H(Y) = 1; the joint table {{3, 1}, {1, 3}} / 8 gives H(E, Y) = 2 * (3/8 log2(8/3) + 1/8 log2 8).
TEST(RoutingStatistics, measures_a_partition_that_is_not_perfect) {
  RoutingStatistics statistics(2, {2});
  statistics.rows() = 8;
  statistics.by_label(0, 0) = statistics.by_label(1, 1) = 3;
  statistics.by_label(0, 1) = statistics.by_label(1, 0) = 1;
  const double joint = 2 * (3.0 / 8 * std::log2(8.0 / 3) + 3.0 / 8);
  EXPECT_NEAR(statistics.mutual_information_true(), 2 - joint, 1e-12);
  EXPECT_EQ(statistics.mutual_information_predicted(), 0.0) << "nothing was counted there";
}

TEST(RoutingStatistics, keeps_labels_and_predictions_apart) {
  RoutingStatistics statistics(2, {3});
  statistics.rows() = 6;
  statistics.by_label(2, 1) = 4;
  statistics.by_prediction(1, 0) = 5;
  statistics.load(1) = 6;
  const std::array<std::int64_t, 17> expected = {6, 0, 0, 0, 6, 0, 0, 0, 0, 0, 4, 0, 0, 5, 0, 0, 0};
  EXPECT_THAT(statistics.counts(), testing::ElementsAreArray(expected));
}

TEST(RoutingStatistics, counts_what_was_dropped_among_all_slots) {
  RoutingStatistics statistics(2, {3});
  EXPECT_EQ(statistics.dropped_share(), 0);
  statistics.load(0) = 5;
  statistics.load(1) = 3;
  statistics.dropped() = 2;
  EXPECT_EQ(statistics.dropped_share(), 0.25);
}

TEST(RoutingStatistics, gives_the_means_over_rows) {
  const std::vector<Sample> samples = {
      {{0.5, 0.5}, 0, 1, 2.0}, {{0.75, 0.25}, 1, 1, 0.5}, {{0.0, 1.0}, 1, 1, 0.25}, {{0.25, 0.75}, 0, 0, 0.25}};
  const RoutingStatistics statistics = counted(samples, 2, 2);
  EXPECT_THAT(statistics.importance_share(), testing::ElementsAre(0.375, 0.625));
  EXPECT_THAT(statistics.expert_share(), testing::ElementsAre(0.5, 0.5));
}

TEST(RoutingStatistics, calls_an_expert_dead_below_one_sample_in_a_thousand) {
  RoutingStatistics statistics(3, {1});
  statistics.rows() = 10000;
  statistics.by_label(0, 0) = 9981;
  statistics.by_label(0, 1) = 10;
  statistics.by_label(0, 2) = 9;
  // By choices, of which one row in a thousand needs not be of the largest weight.
  statistics.load(0) = 10000;
  statistics.load(1) = 9;
  statistics.load(2) = 9991;
  EXPECT_THAT(statistics.dead_experts(), testing::ElementsAre(1));
  // Where every expert sees every row, by the largest weights.
  for (index_t e = 0; e < 3; ++e) statistics.load(e) = 10000;
  EXPECT_THAT(statistics.dead_experts(), testing::ElementsAre(2));
}

// Samples of one class, so many to each expert.
RoutingStatistics spread(const std::vector<std::int64_t>& samples) {
  RoutingStatistics statistics(static_cast<index_t>(samples.size()), {1});
  for (std::size_t e = 0; e < samples.size(); ++e) {
    statistics.rows() += samples[e];
    statistics.by_label(0, static_cast<index_t>(e)) = samples[e];
  }
  return statistics;
}

TEST(RoutingStatistics, says_how_many_experts_have_more_than_one_sample_in_a_hundred) {
  const RoutingStatistics statistics = spread({500, 480, 11, 9});
  EXPECT_EQ(statistics.largest_share(), 0.5);
  EXPECT_EQ(statistics.active_experts(), 3);
  EXPECT_EQ(spread({990, 10}).active_experts(), 1) << "1% is not above 1%";
  EXPECT_EQ(RoutingStatistics(3, {1}).active_experts(), 0);
  EXPECT_EQ(RoutingStatistics(3, {1}).largest_share(), 0);
}

// An even share of 200 experts is half a percent.
TEST(RoutingStatistics, takes_half_of_an_even_share_where_there_are_many_experts) {
  std::vector<std::int64_t> samples(200, 100);
  EXPECT_EQ(spread(samples).active_experts(), 200);
  EXPECT_FALSE(spread(samples).is_collapsed());
  for (std::size_t e = 0; e < 101; ++e) samples[e] = 0;
  EXPECT_EQ(spread(samples).active_experts(), 99);
  EXPECT_TRUE(spread(samples).is_collapsed());
  EXPECT_EQ(spread(std::vector<std::int64_t>(50, 1)).least_active_share(), 0.01);
}

TEST(RoutingStatistics, collapses_where_one_expert_has_nine_tenths_or_most_have_nothing) {
  EXPECT_TRUE(spread({901, 50, 49}).is_collapsed());
  EXPECT_FALSE(spread({900, 51, 49}).is_collapsed());
  EXPECT_TRUE(spread({500, 500, 0, 0, 0}).is_collapsed());
  EXPECT_FALSE(spread({500, 500, 0, 0}).is_collapsed()) << "half of them are active";
  EXPECT_FALSE(spread({1000}).is_collapsed()) << "one expert has no choice";
  EXPECT_FALSE(RoutingStatistics(4, {1}).is_collapsed()) << "without samples";
}

TEST(RoutingStatistics, permutes_with_its_experts_and_changes_in_nothing_else) {
  constexpr index_t experts = 5;
  const std::vector<std::size_t> to = {3, 0, 4, 1, 2};  // expert e becomes expert to[e]
  const std::vector<Sample> samples = random_samples(400, experts, 7);
  std::vector<Sample> permuted = samples;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t e = 0; e < to.size(); ++e) permuted[i].gate[to[e]] = samples[i].gate[e];
  }
  const RoutingStatistics a = counted(samples, experts, 7);
  const RoutingStatistics b = counted(permuted, experts, 7);
  EXPECT_NEAR(a.sample_entropy(), b.sample_entropy(), 1e-12);
  EXPECT_NEAR(a.usage_entropy(), b.usage_entropy(), 1e-12);
  EXPECT_NEAR(a.mutual_information_true(), b.mutual_information_true(), 1e-12);
  EXPECT_NEAR(a.mutual_information_predicted(), b.mutual_information_predicted(), 1e-12);
  EXPECT_GT(a.mutual_information_true(), 0.0);
  for (std::size_t e = 0; e < to.size(); ++e) {
    EXPECT_EQ(a.expert_share()[e], b.expert_share()[to[e]]);
    EXPECT_EQ(a.importance_share()[e], b.importance_share()[to[e]]);
    EXPECT_EQ(a.load(static_cast<index_t>(e)), b.load(static_cast<index_t>(to[e])));
  }
}

TEST(RoutingStatistics, adds_up_over_parts_of_the_samples) {
  const std::vector<Sample> samples = random_samples(300, 4, 3);
  const RoutingStatistics whole = counted(samples, 4, 3);
  RoutingStatistics sum = counted({samples.begin(), samples.begin() + 100}, 4, 3);
  sum.add(counted({samples.begin() + 100, samples.end()}, 4, 3));
  EXPECT_THAT(sum.counts(), testing::ElementsAreArray(RoutingStatistics(whole).counts()));
  EXPECT_NEAR(sum.sample_entropy(), whole.sample_entropy(), 1e-12);
  EXPECT_NEAR(sum.usage_entropy(), whole.usage_entropy(), 1e-12);
  EXPECT_THROW(sum.add(RoutingStatistics(5, {3})), ContractViolation);
}

TEST(RoutingStatistics, are_zero_without_samples) {
  RoutingStatistics statistics = counted(random_samples(10, 4, 3), 4, 3);
  statistics.clear();
  for (const RoutingStatistics& empty : {statistics, RoutingStatistics(), RoutingStatistics(4, {3})}) {
    EXPECT_EQ(empty.sample_entropy(), 0.0);
    EXPECT_EQ(empty.usage_entropy(), 0.0);
    EXPECT_EQ(empty.mutual_information_true(), 0.0);
    EXPECT_THAT(empty.dead_experts(), testing::IsEmpty());
  }
}

}  // namespace
}  // namespace switchyard::moe
