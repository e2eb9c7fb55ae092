// The dispatch entropy of Chen et al. 2022 (equation 6.1), of clusters and of labels.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "moe/routing_statistics.hpp"

namespace switchyard::moe {
namespace {

// table[group][expert]
RoutingStatistics grouped(const std::vector<std::vector<std::int64_t>>& table) {
  const auto experts = static_cast<index_t>(table[0].size());
  RoutingStatistics statistics(experts, {2, static_cast<index_t>(table.size())});
  for (std::size_t g = 0; g < table.size(); ++g) {
    for (index_t e = 0; e < experts; ++e) {
      const std::int64_t count = table[g][static_cast<std::size_t>(e)];
      statistics.by_group(static_cast<index_t>(g), e) = count;
      statistics.rows() += count;
    }
  }
  return statistics;
}

TEST(DispatchEntropy, is_zero_if_every_expert_sees_one_cluster) {
  EXPECT_EQ(grouped({{30, 0, 0}, {0, 20, 0}, {0, 0, 50}}).dispatch_entropy(), 0.0);
  // Several experts may share a cluster, and some may be empty.
  EXPECT_EQ(grouped({{30, 7, 0, 0}, {0, 0, 20, 0}}).dispatch_entropy(), 0.0);
}

TEST(DispatchEntropy, is_the_logarithm_of_the_clusters_if_routing_ignores_them) {
  EXPECT_NEAR(grouped({{10, 30}, {10, 30}, {10, 30}, {10, 30}}).dispatch_entropy(), std::log(4.0), 1e-12);
  EXPECT_NEAR(grouped({{25, 0, 0}, {25, 0, 0}}).dispatch_entropy(), std::log(2.0), 1e-12);
}

// Experts with 8, 4 and 0 samples: 8/12 of H(1/2, 1/4, 1/4) = 1.5 ln 2, 4/12 of H(1/4, 3/4).
TEST(DispatchEntropy, weighs_an_experts_mix_with_its_share) {
  const RoutingStatistics statistics = grouped({{4, 1, 0}, {2, 3, 0}, {2, 0, 0}});
  const double of_second = -0.25 * std::log(0.25) - 0.75 * std::log(0.75);
  EXPECT_NEAR(statistics.dispatch_entropy(), 8.0 / 12 * 1.5 * std::log(2.0) + 4.0 / 12 * of_second, 1e-12);
}

// It is not the entropy of the loads: that one changes here, this one does not.
TEST(DispatchEntropy, does_not_change_if_an_expert_is_split_evenly) {
  const double whole = grouped({{40, 3}, {20, 9}}).dispatch_entropy();
  EXPECT_NEAR(grouped({{20, 20, 3}, {10, 10, 9}}).dispatch_entropy(), whole, 1e-12);
}

TEST(DispatchEntropy, of_labels_is_that_of_their_own_table) {
  RoutingStatistics statistics = grouped({{6, 0}, {0, 6}});
  statistics.by_label(0, 0) = statistics.by_label(1, 0) = statistics.by_label(0, 1) =
      statistics.by_label(1, 1) = 3;
  statistics.by_prediction(0, 0) = 12;
  EXPECT_EQ(statistics.dispatch_entropy(), 0.0);
  EXPECT_NEAR(statistics.dispatch_entropy_label(), std::log(2.0), 1e-12);
}

TEST(DispatchEntropy, is_zero_without_clusters_or_samples) {
  EXPECT_EQ(RoutingStatistics(3, {2}).dispatch_entropy(), 0.0);
  EXPECT_EQ(RoutingStatistics(3, {2, 4}).dispatch_entropy(), 0.0);
  EXPECT_EQ(RoutingStatistics().dispatch_entropy_label(), 0.0);
}

TEST(DispatchEntropy, its_counts_add_up_and_clear_with_the_others) {
  RoutingStatistics sum = grouped({{4, 1, 0}, {2, 3, 0}, {2, 0, 0}});
  sum.add(grouped({{1, 0, 2}, {0, 0, 2}, {5, 5, 0}}));
  const RoutingStatistics whole = grouped({{5, 1, 2}, {2, 3, 2}, {7, 5, 0}});
  EXPECT_DOUBLE_EQ(sum.dispatch_entropy(), whole.dispatch_entropy());
  EXPECT_EQ(whole.groups(), 3);
  EXPECT_EQ(whole.by_group(2, 1), 5);
  sum.clear();
  EXPECT_EQ(sum.by_group(2, 1), 0);
  EXPECT_EQ(sum.dispatch_entropy(), 0.0);
}

}  // namespace
}  // namespace switchyard::moe
