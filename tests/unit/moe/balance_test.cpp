#include "moe/balance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace switchyard::moe {
namespace {

class BalanceLoss : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(experts, BalanceLoss, testing::Values(2, 3, 8, 64));

TEST_P(BalanceLoss, is_one_at_balance) {
  const std::vector<double> load(GetParam(), 12), probability(GetParam(), 12);
  EXPECT_NEAR(balance_loss(load, probability, 1), 1, 1e-12);
  EXPECT_NEAR(balance_loss(load, probability, 0.25), 0.25, 1e-12);
  // Even loads are enough, whatever the gate's probabilities.
  std::vector<double> uneven(GetParam(), 0);
  uneven[0] = 12.0 * static_cast<double>(GetParam());
  EXPECT_NEAR(balance_loss(load, uneven, 1), 1, 1e-12);
}

TEST_P(BalanceLoss, is_the_number_of_experts_at_collapse) {
  std::vector<double> load(GetParam(), 0), probability(GetParam(), 0);
  load.back() = probability.back() = 100;
  EXPECT_NEAR(balance_loss(load, probability, 1), static_cast<double>(GetParam()), 1e-12);
}

TEST_P(BalanceLoss, counts_slots_and_samples_apart) {
  std::mt19937_64 random(GetParam());
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> load(GetParam()), probability(GetParam());
  for (double& value : load) value = std::floor(100 * uniform(random));
  for (double& value : probability) value = 50 * uniform(random);
  const double once = balance_loss(load, probability, 1);
  // Two slots a sample, evenly used: the shares stay.
  for (double& value : load) value *= 2;
  EXPECT_NEAR(balance_loss(load, probability, 1), once, 1e-12);
  for (double& value : probability) value *= 3;
  EXPECT_NEAR(balance_loss(load, probability, 1), once, 1e-12);
}

// By the probability of one sample of N, as every sample's adds to the sum. The mean is over all samples: a
// change of one sample's probability does not change how many there are.
TEST_P(BalanceLoss, has_the_gradient_of_finite_differences) {
  const index_t samples = 40;
  std::mt19937_64 random(GetParam() + 1);
  std::uniform_int_distribution<int> uniform(0, 9);
  std::vector<double> load(GetParam());
  for (double& value : load) value = uniform(random);
  load[0] += 1;
  const double slots = std::accumulate(load.begin(), load.end(), 0.0);
  std::vector<double> gradient(GetParam(), -7);
  balance_gradient(load, samples, 0.3, gradient);
  const auto loss = [&](const std::vector<double>& probability) {
    double sum = 0;
    for (std::size_t e = 0; e < load.size(); ++e) {
      sum += load[e] / slots * (probability[e] / static_cast<double>(samples));
    }
    return 0.3 * static_cast<double>(load.size()) * sum;
  };
  const std::vector<double> even(GetParam(), static_cast<double>(samples) / static_cast<double>(GetParam()));
  EXPECT_NEAR(balance_loss(load, even, 0.3), loss(even), 1e-12);
  for (std::size_t e = 0; e < load.size(); ++e) {
    std::vector<double> above = even, below = even;
    above[e] += 1e-3;
    below[e] -= 1e-3;
    EXPECT_NEAR(gradient[e], (loss(above) - loss(below)) / 2e-3, 1e-9);
  }
}

// f = (3, 1, 0) / 4, P = (0.5, 0.25, 0.25): 3 (3/8 + 1/16) = 21/16.
TEST(BalanceLossByHand, is_experts_times_the_sum_of_load_share_times_mean_probability) {
  const std::vector<double> load = {3, 1, 0}, probability = {2, 1, 1};
  EXPECT_DOUBLE_EQ(balance_loss(load, probability, 1), 21.0 / 16);
  std::vector<double> gradient(3);
  balance_gradient(load, 4, 1, gradient);
  EXPECT_DOUBLE_EQ(gradient[0], 3 * 0.75 / 4);
  EXPECT_DOUBLE_EQ(gradient[1], 3 * 0.25 / 4);
  EXPECT_EQ(gradient[2], 0.0);
}

TEST(BalanceLossByHand, is_zero_without_samples) {
  const std::vector<double> nothing(3, 0.0);
  EXPECT_EQ(balance_loss(nothing, nothing, 1), 0.0);
  std::vector<double> gradient(3, -7);
  balance_gradient(nothing, 0, 1, gradient);
  EXPECT_EQ(gradient, nothing);
}

}  // namespace
}  // namespace switchyard::moe
