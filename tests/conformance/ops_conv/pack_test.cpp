#include "ops/kernels/pack.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace switchyard::ops::kernels {
namespace {

template <int width>
void expect_nan_stays() {
  using P = Pack<width>;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {nan, -nan, infinity, -infinity, 0.0F, -0.0F, 1.5F, -2.0F};
  for (const float a : values) {
    for (const float b : values) {
      std::vector<float> found(width);
      max_or_nan(P::broadcast(a), P::broadcast(b)).store(found.data());
      for (const float value : found) {
        if (std::isnan(a) || std::isnan(b)) {
          EXPECT_TRUE(std::isnan(value)) << a << " and " << b;
        } else {
          EXPECT_EQ(value, std::max(a, b)) << a << " and " << b;
        }
      }
      // As the kernels end: a ReLU that lets a NaN through.
      max(P::broadcast(0), P::broadcast(b)).store(found.data());
      for (const float value : found) EXPECT_EQ(std::isnan(value), std::isnan(b)) << b;
    }
  }
}

TEST(Pack, a_NaN_stays_one_in_a_maximum) {
  expect_nan_stays<1>();
#ifdef SY_PACK_WIDTH
  expect_nan_stays<SY_PACK_WIDTH>();
#endif
}

}  // namespace
}  // namespace switchyard::ops::kernels
