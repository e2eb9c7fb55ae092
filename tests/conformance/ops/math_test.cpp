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

}  // namespace
}  // namespace switchyard::ops::kernels
