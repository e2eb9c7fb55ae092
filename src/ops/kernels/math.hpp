// exp, log and the normal distribution of float32, ours, so that every executor and every compiler gives the
// same bits.
//
// Straight-line code without table or library call, always inlined: a loop over them vectorises (16 elements to
// a 512-bit register). Polynomials and the split of ln 2 as in Moshier's Cephes (expf, logf), evaluated with
// explicit fused multiply-adds, which the flag against contraction leaves alone. Measured over every float32:
// exp within 1.00 ulp, log within 0.83.
#pragma once

#include <cmath>
#include <cstddef>
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

// log(1 + x) of x >= 0 with the digits of x: the rounding of 1 + x is divided out again (Kahan).
SY_HD __attribute__((always_inline)) inline float log_of_one_plus(float x) {
  const float sum = 1.0F + x;
  return sum == 1.0F ? x : log(sum) * (x / (sum - 1.0F));
}

// No float64 version: a call with a double is a mistake, not a conversion.
float exp(double) = delete;
float log(double) = delete;

namespace detail {
// c[0] x^n + ... + c[n]
template <std::size_t count>
SY_HD inline float polynomial(float x, const float (&c)[count]) {
  float sum = c[0];
  for (std::size_t i = 1; i < count; ++i) sum = fused_multiply_add(sum, x, c[i]);
  return sum;
}
}  // namespace detail

// 1 - erf(x). Polynomials of Moshier's Cephes (erfcf): 1 - x T(x^2) below 1, e^(-x^2) / x times P or R of
// 1 / x^2 above. Within 2e-7 everywhere, and within 5e-6 of itself up to 5 (x^2 is rounded before e^-x^2).
SY_HD inline float erfc(float x) {
  const float a = x < 0.0F ? -x : x;
  if (a < 1.0F) {
    constexpr float t[] = {7.853861353153693e-5F,  -8.010193625184903e-4F, 5.188327685732524e-3F,
                           -2.685381193529856e-2F, 1.128358514861418e-1F,  -3.761262582423300e-1F,
                           1.128379165726710F};
    return 1.0F - x * detail::polynomial(x * x, t);
  }
  constexpr float p[] = {2.326819970068386e-2F,  -1.387039388740657e-1F, 3.687424674597105e-1F,
                         -5.824733027278666e-1F, 6.210004621745983e-1F,  -4.944515323274145e-1F,
                         3.404879937665872e-1F,  -2.741127028184656e-1F, 5.638259427386472e-1F};
  constexpr float r[] = {-1.047766399936249e+1F, 1.297719955372516e+1F, -7.495518717768503F,
                         2.921019019210786F,     -1.015265279202700F,   4.218463358204948e-1F,
                         -2.820767439740514e-1F, 5.641895067754075e-1F};
  const float inverse = 1.0F / a;
  const float square = inverse * inverse;
  const float upper =
      exp(-(a * a)) * inverse * (a < 2.0F ? detail::polynomial(square, p) : detail::polynomial(square, r));
  if (x != x) return x;
  return x < 0.0F ? 2.0F - upper : upper;
}

// The distribution function of the standard normal distribution, within 1e-7, and its density.
SY_HD inline float normal_cdf(float x) {
  constexpr float root_half = 0.70710678118654752F;
  return 0.5F * erfc(-root_half * x);
}
SY_HD inline float normal_density(float x) {
  constexpr float inverse_root_two_pi = 0.39894228040143268F;
  return inverse_root_two_pi * exp(-0.5F * (x * x));
}

// A standard normal number from 32 random bits: the inverse of the distribution function at (m + 1/2) 2^-32, m
// the upper 31 bits, with the sign of the lowest. Giles 2012, "Approximating the erfinv function"
// (single precision): within 2e-6 of the exact inverse up to 5.4 (7 numbers in 10^8 are larger), within 3e-3 up
// to the largest, 6.34.
SY_HD inline float normal_of(std::uint32_t bits) {
  constexpr float root_two = 1.4142135623730951F;
  const float u = (static_cast<float>(bits >> 1U) + 0.5F) * 0x1.0p-32F;  // in (0, 1/2]
  const float x = 1.0F - 2.0F * u;
  const float w = -log(4.0F * u * (1.0F - u));  // of 1 - x^2, exact where x is near 1
  constexpr float centre[] = {2.81022636e-08F,  3.43273939e-07F, -3.5233877e-06F,
                              -4.39150654e-06F, 2.1858087e-04F,  -1.25372503e-03F,
                              -4.17768164e-03F, 2.46640727e-01F, 1.50140941F};
  constexpr float tail[] = {-2.00214257e-04F, 1.00950558e-04F, 1.34934322e-03F,
                            -3.67342844e-03F, 5.73950773e-03F, -7.6224613e-03F,
                            9.43887047e-03F,  1.00167406F,     2.83297682F};
  const float p =
      w < 5.0F ? detail::polynomial(w - 2.5F, centre) : detail::polynomial(std::sqrt(w) - 3.0F, tail);
  const float value = root_two * (p * x);
  return (bits & 1U) != 0 ? -value : value;
}

}  // namespace switchyard::ops::kernels
