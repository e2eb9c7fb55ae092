#include "moe/statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace switchyard::moe {
namespace {

Statistics of_two_layers() {
  return Statistics(
      {{"blocks/00/mixture", RoutingStatistics(2, {.groups = 3, .group = "domain", .row = "token"})},
       {"blocks/01/mixture", RoutingStatistics(4, {.groups = 3, .group = "domain", .row = "token"})}});
}

// Counts 1, 2, 3, ... in the order in which they are summed over ranks.
Statistics numbered() {
  Statistics statistics = of_two_layers();
  std::int64_t next = 0;
  statistics.for_each_counts([&](Span<std::int64_t> counts) {
    for (std::int64_t& count : counts) count = ++next;
  });
  statistics.task_loss_sum = 3;
  statistics.likelihood_loss_sum = 5;
  return statistics;
}

TEST(Statistics, give_the_means_over_samples) {
  Statistics statistics = of_two_layers();
  EXPECT_EQ(statistics.task_loss(), 0.0) << "without samples";
  statistics.samples() = 4;
  statistics.errors() = 1;
  statistics.task_loss_sum = 3;
  statistics.likelihood_loss_sum = 2;
  EXPECT_EQ(statistics.error(), 0.25);
  EXPECT_EQ(statistics.task_loss(), 0.75);
  EXPECT_EQ(statistics.likelihood_loss(), 0.5);
  EXPECT_NEAR(statistics.perplexity(), 1.6487212707001282, 1e-15);
  EXPECT_NEAR(statistics.bits_per_byte(), 0.7213475204444817, 1e-15);
  statistics.token = {"token", 4};
  EXPECT_NEAR(statistics.bits_per_byte(), 0.7213475204444817 / 4, 1e-15);
}

TEST(Statistics, have_every_count_once) {
  Statistics statistics = numbered();
  EXPECT_EQ(statistics.samples(), 1);
  EXPECT_EQ(statistics.errors(), 2);
  const RoutingStatistics& first = statistics.layers[0].routing;
  EXPECT_EQ(first.rows(), 3);
  EXPECT_EQ(first.sent_rows(), 4);
  EXPECT_EQ(first.dropped(), 5);
  EXPECT_EQ(first.load(1), 7);
  EXPECT_EQ(first.by_group(2, 1), 13);
  EXPECT_EQ(statistics.layers[1].routing.rows(), 14);
  EXPECT_EQ(statistics.sent_rows(), 4 + 15);
}

TEST(Statistics, add_up_layer_by_layer) {
  Statistics sum = numbered();
  sum.add(numbered());
  EXPECT_EQ(sum.task_loss_sum, 6);
  EXPECT_EQ(sum.likelihood_loss_sum, 10);
  EXPECT_EQ(sum.errors(), 4);
  EXPECT_EQ(sum.layers[1].routing.rows(), 28);
  EXPECT_FALSE(sum.layers[1].routing.is_limited);
  Statistics limited = numbered();
  limited.layers[1].routing.is_limited = true;
  sum.add(limited);
  EXPECT_TRUE(sum.layers[1].routing.is_limited);
  EXPECT_FALSE(sum.layers[0].routing.is_limited);
  sum.clear();
  EXPECT_FALSE(sum.layers[1].routing.is_limited);
  sum.for_each_counts([](Span<std::int64_t> counts) { EXPECT_THAT(counts, testing::Each(0)); });
  EXPECT_THROW(sum.add(Statistics()), ContractViolation);
}

TEST(Statistics, are_of_one_layer_only_where_the_model_is_that_layer) {
  EXPECT_TRUE(Statistics({{"", RoutingStatistics(2, {})}}).is_one_layer());
  EXPECT_FALSE(Statistics({{"blocks/00/mixture", RoutingStatistics(2, {})}}).is_one_layer());
  EXPECT_FALSE(of_two_layers().is_one_layer());
}

// Rows have no classes: what an expert takes is counted against their groups.
TEST(RoutingStatistics, count_the_share_of_rows_without_classes_by_group) {
  RoutingStatistics statistics(2, {.groups = 2, .group = "domain", .row = "token"});
  statistics.rows() = 10;
  statistics.by_group(0, 0) = 5;
  statistics.by_group(1, 0) = 1;
  statistics.by_group(1, 1) = 4;
  EXPECT_EQ(statistics.expert_share(0), 0.6);
  EXPECT_EQ(statistics.expert_share(1), 0.4);
}

}  // namespace
}  // namespace switchyard::moe
