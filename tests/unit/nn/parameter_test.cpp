#include "nn/parameter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace switchyard::nn {
namespace {

using nn::InitialValues;

std::vector<float> initial(const std::string& name, index_t count, std::uint64_t seed, index_t fan_in,
                           const InitialWeights& weights) {
  std::vector<float> values(as_size(count), -7.0F);
  initialise(values, name, seed, fan_in, weights);
  return values;
}

double mean_power(const std::vector<float>& values, double power) {
  double sum = 0;
  for (const float v : values) sum += std::pow(v, power);
  return sum / static_cast<double>(values.size());
}

constexpr index_t many = 40000;
const double few_deviations = 5 / std::sqrt(static_cast<double>(many));

TEST(InitialWeights, normal_has_the_given_deviation_whatever_the_fan_in) {
  for (const double deviation : {1.0, 0.01}) {
    for (const index_t fan_in : {1, 50}) {
      std::vector<float> values = initial("w", many, 1, fan_in, {InitialValues::normal, deviation});
      for (float& v : values) v = static_cast<float>(v / deviation);
      EXPECT_NEAR(mean_power(values, 1), 0, few_deviations);
      EXPECT_NEAR(mean_power(values, 2), 1, few_deviations * std::sqrt(2.0));
      EXPECT_NEAR(mean_power(values, 3), 0, few_deviations * std::sqrt(15.0));
      EXPECT_NEAR(mean_power(values, 4), 3, few_deviations * std::sqrt(96.0));
      double neighbours = 0;
      for (std::size_t i = 1; i < values.size(); ++i) neighbours += values[i] * values[i - 1];
      EXPECT_NEAR(neighbours / static_cast<double>(many), 0, few_deviations);
    }
  }
}

TEST(InitialWeights, uniform_reaches_its_bound_and_no_further) {
  for (const double scale : {1.0, 0.001}) {
    const std::vector<float> values = initial("w", many, 1, 50, {InitialValues::uniform, scale});
    const double bound = scale / std::sqrt(50.0);
    const auto [smallest, largest] = std::ranges::minmax(values);
    EXPECT_GE(smallest, -bound * (1 + 1e-6));
    EXPECT_LE(largest, bound * (1 + 1e-6));
    EXPECT_LT(smallest, -0.999 * bound);
    EXPECT_GT(largest, 0.999 * bound);
    EXPECT_NEAR(mean_power(values, 2), bound * bound / 3, few_deviations * bound * bound);
  }
}

TEST(InitialWeights, are_a_pure_function_of_seed_name_and_element) {
  for (const InitialValues distribution : {InitialValues::uniform, InitialValues::normal}) {
    const InitialWeights weights{distribution, 1};
    const std::vector<float> values = initial("experts/0003/w", 100, 5, 9, weights);
    EXPECT_EQ(initial("experts/0003/w", 100, 5, 9, weights), values);
    const std::vector<float> more = initial("experts/0003/w", 1000, 5, 9, weights);
    EXPECT_EQ(std::vector<float>(more.begin(), more.begin() + 100), values);
    EXPECT_NE(initial("experts/0004/w", 100, 5, 9, weights), values);
    EXPECT_NE(initial("experts/0003/w", 100, 6, 9, weights), values);
  }
}

TEST(InitialWeights, of_another_draw_are_others) {
  for (const InitialValues distribution : {InitialValues::uniform, InitialValues::normal}) {
    const std::vector<float> first = initial("w", many, 5, 9, {distribution, 1});
    const std::vector<float> second = initial("w", many, 5, 9, {distribution, 1, 1});
    EXPECT_EQ(initial("w", many, 5, 9, {distribution, 1, 0}), first);
    EXPECT_EQ(initial("w", many, 5, 9, {distribution, 1, 1}), second);
    double products = 0;
    for (std::size_t i = 0; i < first.size(); ++i) products += first[i] * second[i];
    const double deviation = mean_power(first, 2) * static_cast<double>(many);
    EXPECT_NEAR(products / deviation, 0, few_deviations);
    EXPECT_NEAR(mean_power(second, 2) / mean_power(first, 2), 1, few_deviations * std::sqrt(2.0) * 2);
  }
}

TEST(InitialWeights, of_scale_zero_are_zeros) {
  for (const InitialValues distribution : {InitialValues::uniform, InitialValues::normal}) {
    for (const float v : initial("gate/w", 100, 5, 9, {distribution, 0})) EXPECT_EQ(v, 0.0F);
  }
}

}  // namespace
}  // namespace switchyard::nn
