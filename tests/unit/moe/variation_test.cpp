// The squared coefficient of variation and its gradient.
#include "ops/moe/regularisers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace switchyard::moe {
namespace {

double squared_variation(const std::vector<double>& amount, double weight) {
  device::Context context(1);
  double loss = 0;
  std::vector<double> gradient(amount.size());
  ops::squared_variation(context, amount, weight, {&loss, gradient});
  return loss;
}

void squared_variation_gradient(const std::vector<double>& amount, double weight, Span<double> gradient) {
  device::Context context(1);
  double loss = 0;
  ops::squared_variation(context, amount, weight, {&loss, gradient});
}

std::vector<double> random_importance(std::size_t experts) {
  std::mt19937_64 random(experts);
  std::uniform_real_distribution<double> uniform(0.5, 200.0);
  std::vector<double> importance(experts);
  for (double& value : importance) value = uniform(random);
  return importance;
}

// The definition: weight * s^2 / m^2, with divisor E - 1.
double reference_loss(const std::vector<double>& importance, double weight) {
  const auto experts = static_cast<double>(importance.size());
  const double mean = std::accumulate(importance.begin(), importance.end(), 0.0) / experts;
  double squares = 0;
  for (const double value : importance) squares += (value - mean) * (value - mean);
  return weight * squares / (experts - 1) / (mean * mean);
}

class ImportanceLoss : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(experts, ImportanceLoss, testing::Values(2, 3, 5, 64));

TEST_P(ImportanceLoss, is_zero_for_equal_experts) {
  EXPECT_NEAR(squared_variation(std::vector<double>(GetParam(), 102.4), 1.0), 0.0, 1e-12);
}

TEST_P(ImportanceLoss, is_the_number_of_experts_when_one_takes_all) {
  std::vector<double> importance(GetParam(), 0.0);
  importance.back() = 512;
  EXPECT_NEAR(squared_variation(importance, 1.0), static_cast<double>(GetParam()), 1e-12);
  EXPECT_NEAR(squared_variation(importance, 0.25), 0.25 * static_cast<double>(GetParam()), 1e-12);
}

TEST_P(ImportanceLoss, is_the_squared_coefficient_of_variation) {
  const std::vector<double> importance = random_importance(GetParam());
  EXPECT_NEAR(squared_variation(importance, 0.7), reference_loss(importance, 0.7), 1e-12);
}

TEST_P(ImportanceLoss, does_not_change_when_every_sample_counts_twice) {
  const std::vector<double> once = random_importance(GetParam());
  std::vector<double> twice = once;
  for (double& value : twice) value *= 2;
  EXPECT_EQ(squared_variation(once, 1.0), squared_variation(twice, 1.0)) << "a factor of two is exact";
  std::vector<double> gradient_once(once.size());
  std::vector<double> gradient_twice(once.size());
  squared_variation_gradient(once, 1.0, gradient_once);
  squared_variation_gradient(twice, 1.0, gradient_twice);
  for (std::size_t e = 0; e < once.size(); ++e) EXPECT_EQ(gradient_once[e], 2 * gradient_twice[e]);
}

TEST_P(ImportanceLoss, has_the_gradient_of_finite_differences) {
  const std::vector<double> importance = random_importance(GetParam());
  std::vector<double> gradient(importance.size());
  squared_variation_gradient(importance, 0.7, gradient);
  const double scale = std::abs(*std::ranges::max_element(gradient, {}, [](double g) { return std::abs(g); }));
  for (std::size_t e = 0; e < importance.size(); ++e) {
    // Central: the error of the formula is O(step^2), that of rounding O(1e-16 / step).
    const double step = 1e-4 * importance[e];
    std::vector<double> above = importance;
    std::vector<double> below = importance;
    above[e] += step;
    below[e] -= step;
    const double difference = (reference_loss(above, 0.7) - reference_loss(below, 0.7)) / (2 * step);
    EXPECT_NEAR(gradient[e], difference, 1e-6 * scale) << "expert " << e;
  }
}

// The loss does not change with the scale of the importance, so its gradient has no part along it (Euler).
TEST_P(ImportanceLoss, has_a_gradient_across_its_scale) {
  const std::vector<double> importance = random_importance(GetParam());
  std::vector<double> gradient(importance.size());
  squared_variation_gradient(importance, 1.0, gradient);
  EXPECT_NEAR(std::inner_product(gradient.begin(), gradient.end(), importance.begin(), 0.0), 0.0, 1e-12);
}

TEST(ImportanceLossOfFew, is_zero_for_one_expert_and_for_no_samples) {
  for (const std::vector<double>& importance :
       {std::vector<double>{5.0}, std::vector<double>{0.0, 0.0}, std::vector<double>{}}) {
    std::vector<double> gradient(importance.size(), std::numeric_limits<double>::quiet_NaN());
    squared_variation_gradient(importance, 1.0, gradient);
    EXPECT_EQ(squared_variation(importance, 1.0), 0.0);
    for (const double value : gradient) EXPECT_EQ(value, 0.0);
  }
}

}  // namespace
}  // namespace switchyard::moe
