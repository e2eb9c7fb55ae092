#include "ops/kernels/math.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace switchyard::ops::kernels {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float smallest_normal = std::numeric_limits<float>::min();

// Calls visit(x) for every 1009th float32 bit pattern: all signs, exponents, infinities' neighbours and NaNs.
template <class Visit>
void for_each_sampled_float(const Visit& visit) {
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += 1009) {
    visit(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
}

// |got - exact| in units of the last place of exact, which is a normal float32.
double ulps(float got, double exact) {
  int exponent = 0;
  (void)std::frexp(exact, &exponent);
  return std::abs(static_cast<double>(got) - exact) / std::ldexp(1.0, exponent - 24);
}

TEST(Exp, is_within_two_ulp_of_float64) {
  double worst = 0;
  for_each_sampled_float([&](float x) {
    const double exact = std::exp(static_cast<double>(x));
    if (exact < static_cast<double>(smallest_normal) ||
        !(exact <= static_cast<double>(std::numeric_limits<float>::max())))
      return;
    worst = std::max(worst, ulps(exp(x), exact));
  });
  EXPECT_LT(worst, 1.02);  // over all float32 the largest is 1.010
  EXPECT_GT(worst, 0.5);
}

TEST(Exp, is_zero_or_infinite_where_float32_ends) {
  for_each_sampled_float([&](float x) {
    const double exact = std::exp(static_cast<double>(x));
    if (exact < static_cast<double>(smallest_normal)) {
      ASSERT_EQ(exp(x), 0.0F) << x;
    } else if (exact > static_cast<double>(std::numeric_limits<float>::max())) {
      ASSERT_EQ(exp(x), infinity) << x;
    } else if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(exp(x)));
    }
  });
  EXPECT_EQ(exp(-infinity), 0.0F);
  EXPECT_EQ(exp(infinity), infinity);
  EXPECT_EQ(exp(0.0F), 1.0F);
  EXPECT_EQ(exp(-0.0F), 1.0F);
  EXPECT_EQ(exp(std::numeric_limits<float>::denorm_min()), 1.0F);
  EXPECT_TRUE(std::isfinite(exp(88.7228F)));
  EXPECT_GT(exp(-87.3365F), 0.0F);
}

TEST(Log, is_within_two_ulp_of_float64) {
  double worst = 0;
  for_each_sampled_float([&](float x) {
    if (!(x >= smallest_normal) || x == infinity || x == 1.0F) return;
    worst = std::max(worst, ulps(log(x), std::log(static_cast<double>(x))));
  });
  EXPECT_LT(worst, 0.84);  // over all float32 the largest is 0.827
  EXPECT_GT(worst, 0.5);
}

TEST(Log, has_the_limits_of_a_logarithm) {
  EXPECT_EQ(log(0.0F), -infinity);
  EXPECT_EQ(log(-0.0F), -infinity);
  EXPECT_EQ(log(std::numeric_limits<float>::denorm_min()), -infinity);
  EXPECT_EQ(log(1.0F), 0.0F);
  EXPECT_EQ(log(infinity), infinity);
  EXPECT_TRUE(std::isnan(log(-1.0F)));
  EXPECT_TRUE(std::isnan(log(-infinity)));
  EXPECT_TRUE(std::isnan(log(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Erfc, is_that_of_float64) {
  double worst = 0, worst_relative = 0;
  for_each_sampled_float([&](float x) {
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(erfc(x)));
      return;
    }
    const double exact = std::erfc(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(erfc(x)) - exact);
    worst = std::max(worst, error);
    if (x < 5.0F) worst_relative = std::max(worst_relative, error / exact);
  });
  EXPECT_LT(worst, 2e-7);
  EXPECT_LT(worst_relative, 5e-6);
  EXPECT_EQ(erfc(0.0F), 1.0F);
  EXPECT_EQ(erfc(infinity), 0.0F);
  EXPECT_EQ(erfc(-infinity), 2.0F);
}

TEST(NormalCdf, is_that_of_float64_and_rises_with_the_density) {
  double worst = 0, worst_density = 0;
  for (float x = -9.0F; x < 9.0F; x += 1e-3F) {
    const double exact = 0.5 * std::erfc(-static_cast<double>(x) / std::sqrt(2.0));
    const double density = std::exp(-0.5 * std::pow(static_cast<double>(x), 2)) / std::sqrt(2 * M_PI);
    worst = std::max(worst, std::abs(static_cast<double>(normal_cdf(x)) - exact));
    worst_density = std::max(worst_density, std::abs(static_cast<double>(normal_density(x)) - density));
  }
  EXPECT_LT(worst, 1e-7);
  EXPECT_LT(worst_density, 1e-7);
}

// Of every 1009th number of 32 bits: the distribution function of the result is the share of bits before it.
TEST(NormalOf, is_the_inverse_of_the_distribution_function) {
  double worst = 0, worst_of_tail = 0;
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += bits < 1000 ? 1 : 1009) {
    const auto half = static_cast<std::uint32_t>(bits);
    const double below = (static_cast<double>(half >> 1U) + 0.5) / 4294967296.0;  // of -value or value
    const float value = normal_of(half);
    ASSERT_EQ(std::signbit(value), (half & 1U) != 0 && value != 0.0F) << half;
    const double x = std::abs(static_cast<double>(value));
    // The error of x is that of the probability over the density.
    const double error = std::abs(0.5 * std::erfc(x / std::sqrt(2.0)) - below);
    double& of_part = x < 5.4 ? worst : worst_of_tail;
    of_part = std::max(of_part, error / (std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI)));
  }
  EXPECT_LT(worst, 2e-6);
  EXPECT_LT(worst_of_tail, 3e-3);
  EXPECT_GT(normal_of(0), 6.2F);
  EXPECT_LT(normal_of(1), -6.2F);
  EXPECT_EQ(normal_of(0xfffffffeU), 0.0F);
}

}  // namespace
}  // namespace switchyard::ops::kernels
