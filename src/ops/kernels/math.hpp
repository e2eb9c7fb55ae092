// exp and log of float32, ours, so that every executor and every compiler gives the same bits.
//
// Straight-line code without table or library call, always inlined: a loop over them vectorises (16 elements to
// a 512-bit register). Polynomials and the split of ln 2 as in Moshier's Cephes (expf, logf), evaluated with
// explicit fused multiply-adds, which the flag against contraction leaves alone. Measured over every float32:
// exp within 1.00 ulp, log within 0.83.
#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.hpp"

namespace switchyard::ops::kernels {

// a * b + c, rounded once.
SY_HD inline float fused_multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

// e^x. exp(-inf) = 0, NaN stays NaN, above ln(FLT_MAX) = 88.72 infinity, and 0 where the result would be
// subnormal.
//
// x = n ln 2 + r with |r| <= ln(2) / 2, e^x = 2^n e^r, e^r = 1 + r + r^2 p(r).
SY_HD __attribute__((always_inline)) inline float exp(float x) {
  constexpr float log2_e = 1.44269504088896341F;
  constexpr float ln2_high = 0.693359375F;  // 9 bits, so that n * ln2_high is exact
  constexpr float ln2_low = -2.12194440e-4F;
  constexpr float round_to_integer =
      12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  constexpr float largest = 88.7228317F;
  constexpr float smallest = -87.3365402F;  // e^x >= 2^-126

  const float shifted = fused_multiply_add(x, log2_e, round_to_integer);
  const float n = shifted - round_to_integer;
  float r = fused_multiply_add(n, -ln2_high, x);
  r = fused_multiply_add(n, -ln2_low, r);
  float p = 1.9875691500e-4F;
  p = fused_multiply_add(p, r, 1.3981999507e-3F);
  p = fused_multiply_add(p, r, 8.3334519073e-3F);
  p = fused_multiply_add(p, r, 4.1665795894e-2F);
  p = fused_multiply_add(p, r, 1.6666665459e-1F);
  p = fused_multiply_add(p, r, 5.0000001201e-1F);
  const float e_r = 1.0F + fused_multiply_add(p, r * r, r);
  // Multiplies by 2^n: n is added to the exponent. The low bits of `shifted` are n, the others are shifted out.
  const std::uint32_t exponent = __builtin_bit_cast(std::uint32_t, shifted) << 23U;
  float result = __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, e_r) + exponent);
  result = x > largest ? std::numeric_limits<float>::infinity() : result;
  result = x < smallest ? 0.0F : result;
  return x != x ? x : result;
}

// Natural logarithm. log(0) = -inf, subnormals count as 0, log of a negative is NaN, NaN stays NaN.
//
// x = 2^n m with sqrt(1/2) <= m < sqrt(2), f = m - 1, log x = n ln 2 + f - f^2 / 2 + f^3 p(f).
SY_HD __attribute__((always_inline)) inline float log(float x) {
  constexpr float ln2_high = 0.693359375F;
  constexpr float ln2_low = -2.12194440e-4F;
  constexpr std::uint32_t sqrt_half_bits = 0x3f3504f3U;
  constexpr float smallest_normal = std::numeric_limits<float>::min();
  constexpr float infinity = std::numeric_limits<float>::infinity();

  const std::uint32_t above_sqrt_half = __builtin_bit_cast(std::uint32_t, x) - sqrt_half_bits;
  const float n = static_cast<float>(static_cast<std::int32_t>(above_sqrt_half) >> 23);
  const float m = __builtin_bit_cast(float, (above_sqrt_half & 0x007fffffU) + sqrt_half_bits);
  const float f = m - 1.0F;
  float p = 7.0376836292e-2F;
  p = fused_multiply_add(p, f, -1.1514610310e-1F);
  p = fused_multiply_add(p, f, 1.1676998740e-1F);
  p = fused_multiply_add(p, f, -1.2420140846e-1F);
  p = fused_multiply_add(p, f, 1.4249322787e-1F);
  p = fused_multiply_add(p, f, -1.6668057665e-1F);
  p = fused_multiply_add(p, f, 2.0000714765e-1F);
  p = fused_multiply_add(p, f, -2.4999993993e-1F);
  p = fused_multiply_add(p, f, 3.3333331174e-1F);
  const float f2 = f * f;
  float tail = fused_multiply_add(n, ln2_low, (f * f2) * p);
  tail = fused_multiply_add(-0.5F, f2, tail);
  float result = fused_multiply_add(n, ln2_high, f + tail);
  result = x < smallest_normal ? -infinity : result;
  result = x <= -smallest_normal ? std::numeric_limits<float>::quiet_NaN() : result;
  return x < infinity ? result : x;  // +inf and NaN come back as they are
}

// No float64 version: a call with a double is a mistake, not a conversion.
float exp(double) = delete;
float log(double) = delete;

}  // namespace switchyard::ops::kernels
