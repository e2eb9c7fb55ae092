// The balance loss from the sums of a batch; tests/numerics has it through the whole model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "moe/regularisers.hpp"

namespace switchyard::moe {
namespace {

struct Balanced {
  double loss;
  std::vector<double> gradient;
};

// load[e] counts slots; probability[e] is a sum over `samples` samples.
Balanced balance(const std::vector<double>& load, const std::vector<double>& probability, double weight,
                 index_t samples = 40) {
  Options options;
  options.experts = std::ssize(load);
  options.balance = weight;
  Regularisers regularisers(options);
  std::vector<double> sums = load;
  sums.insert(sums.end(), probability.begin(), probability.end());
  EXPECT_EQ(regularisers.width(), std::ssize(sums));
  device::Context context(1);
  std::vector<double> losses(regulariser_kinds().size());
  regularisers.complete(context, {.sums = sums, .importance = {}, .samples = samples}, losses);
  const Span<const double> gradient = regularisers.gradients().probability;
  return {losses[1], {gradient.begin(), gradient.end()}};
}

double balance_loss(const std::vector<double>& load, const std::vector<double>& probability, double weight) {
  return balance(load, probability, weight).loss;
}

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
  const auto loss = [&](const std::vector<double>& probability) {
    double sum = 0;
    for (std::size_t e = 0; e < load.size(); ++e) {
      sum += load[e] / slots * (probability[e] / static_cast<double>(samples));
    }
    return 0.3 * static_cast<double>(load.size()) * sum;
  };
  const std::vector<double> even(GetParam(), static_cast<double>(samples) / static_cast<double>(GetParam()));
  const auto [of_even, gradient] = balance(load, even, 0.3, samples);
  EXPECT_NEAR(of_even, loss(even), 1e-12);
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
  const auto [loss, gradient] = balance(load, probability, 1, 4);
  EXPECT_DOUBLE_EQ(loss, 21.0 / 16);
  EXPECT_DOUBLE_EQ(gradient[0], 3 * 0.75 / 4);
  EXPECT_DOUBLE_EQ(gradient[1], 3 * 0.25 / 4);
  EXPECT_EQ(gradient[2], 0.0);
}

TEST(BalanceLossByHand, is_zero_without_samples) {
  const std::vector<double> nothing(3, 0.0);
  const auto [loss, gradient] = balance(nothing, nothing, 1, 0);
  EXPECT_EQ(loss, 0.0);
  EXPECT_EQ(gradient, nothing);
}

}  // namespace
}  // namespace switchyard::moe
