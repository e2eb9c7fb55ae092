// A run of neighbouring floats that one thread of a team handles at once: a vector register on the CPU, a
// single float on a GPU.
//
// A kernel is written once for any width; every operation acts on each lane alone, so a lane's bits do not
// depend on the width. Sums over places use `pack_lanes` lanes whatever the width is: a thread of width 1 takes
// one of them, a thread of width 16 all.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "device/team.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define SY_PACK_AVX512 1
#include <immintrin.h>
#endif

// Where arrays of packs must become registers, the function or lambda that holds them has to be inlined.
#define SY_ALWAYS_INLINE __attribute__((always_inline))

namespace switchyard::ops::kernels {

inline constexpr int pack_lanes = 16;  // one 512-bit register

// Lanes of one thread of a team. A GPU's team and the concurrent team of the tests take one lane per thread.
template <class Team>
inline constexpr int pack_width = 1;
template <>
inline constexpr int pack_width<device::SerialTeam> = pack_lanes;

// f(0), f(1), ... f(count - 1) with the index as a compile-time constant, so that arrays of packs stay in
// registers.
template <int count, class F>
SY_ALWAYS_INLINE SY_HD inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) { (f(std::integral_constant<int, i>{}), ...); }
  (std::make_integer_sequence<int, count>{});
}

// The portable form. "first" operations touch only the first n places (n may be negative or above the width):
// lanes from n on load as zero and are not stored.
template <int width>
struct Pack {
  struct Mask {
    bool lane[width];
  };
  float lane[width];

  SY_HD static Pack broadcast(float value) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = value;
    return p;
  }
  SY_HD static Pack load(const float* from) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = from[l];
    return p;
  }
  SY_HD static Pack load_first(const float* from, index_t n) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = l < n ? from[l] : 0.0F;
    return p;
  }
  // even lane l = from[2 l], odd lane l = from[2 l + 1], where n counts floats of `from`.
  SY_HD static void load_pairs_first(const float* from, index_t n, Pack& even, Pack& odd) {
    for (int l = 0; l < width; ++l) {
      even.lane[l] = 2 * l < n ? from[2 * l] : 0.0F;
      odd.lane[l] = 2 * l + 1 < n ? from[2 * l + 1] : 0.0F;
    }
  }
  SY_HD void store(float* to) const {
    for (int l = 0; l < width; ++l) to[l] = lane[l];
  }
  SY_HD void store_first(float* to, index_t n) const {
    for (int l = 0; l < width && l < n; ++l) to[l] = lane[l];
  }
  SY_HD friend Pack fma(const Pack& a, const Pack& b, const Pack& c) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = std::fma(a.lane[l], b.lane[l], c.lane[l]);
    return p;
  }
  SY_HD friend Pack operator+(const Pack& a, const Pack& b) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = a.lane[l] + b.lane[l];
    return p;
  }
  SY_HD friend Pack operator-(const Pack& a, const Pack& b) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = a.lane[l] - b.lane[l];
    return p;
  }
  // a where a > b, else b: b on ties and where one is a NaN.
  SY_HD friend Pack max(const Pack& a, const Pack& b) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
    return p;
  }
  SY_HD friend Mask operator>(const Pack& a, const Pack& b) {
    Mask m;
    for (int l = 0; l < width; ++l) m.lane[l] = a.lane[l] > b.lane[l];
    return m;
  }
  SY_HD friend Pack select(const Mask& m, const Pack& yes, const Pack& no) {
    Pack p;
    for (int l = 0; l < width; ++l) p.lane[l] = m.lane[l] ? yes.lane[l] : no.lane[l];
    return p;
  }
  SY_HD friend Mask select(const Mask& m, const Mask& yes, const Mask& no) {
    Mask r;
    for (int l = 0; l < width; ++l) r.lane[l] = m.lane[l] ? yes.lane[l] : no.lane[l];
    return r;
  }
  // One byte per lane: bit 0 and bit 1.
  SY_HD static void store_bits_first(std::uint8_t* to, index_t n, const Mask& bit0, const Mask& bit1) {
    for (int l = 0; l < width && l < n; ++l) {
      to[l] = static_cast<std::uint8_t>((bit0.lane[l] ? 1 : 0) | (bit1.lane[l] ? 2 : 0));
    }
  }
  SY_HD static void load_bits_first(const std::uint8_t* from, index_t n, Mask& bit0, Mask& bit1) {
    for (int l = 0; l < width; ++l) {
      const int bits = l < n ? from[l] : 0;
      bit0.lane[l] = (bits & 1) != 0;
      bit1.lane[l] = (bits & 2) != 0;
    }
  }
};

#if defined(SY_PACK_AVX512)
// The same in one register; lanes outside a mask are neither read nor written.
template <>
struct Pack<16> {
  struct Mask {
    __mmask16 bits;
  };
  __m512 v;

  static __mmask16 first(index_t n) {
    const index_t lanes = n < 0 ? 0 : n > 16 ? 16 : n;
    return static_cast<__mmask16>((1U << lanes) - 1U);
  }
  static Pack broadcast(float value) { return {_mm512_set1_ps(value)}; }
  static Pack load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Pack load_first(const float* from, index_t n) { return {_mm512_maskz_loadu_ps(first(n), from)}; }
  static void load_pairs_first(const float* from, index_t n, Pack& even, Pack& odd) {
    const __m512i even_index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd_index = _mm512_add_epi32(even_index, _mm512_set1_epi32(1));
    __m512 low, high;
    if (n >= 32) {
      low = _mm512_loadu_ps(from);
      high = _mm512_loadu_ps(from + 16);
    } else {
      low = _mm512_maskz_loadu_ps(first(n), from);
      high = _mm512_maskz_loadu_ps(first(n - 16), from + 16);
    }
    even.v = _mm512_permutex2var_ps(low, even_index, high);
    odd.v = _mm512_permutex2var_ps(low, odd_index, high);
  }
  void store(float* to) const { _mm512_storeu_ps(to, v); }
  void store_first(float* to, index_t n) const { _mm512_mask_storeu_ps(to, first(n), v); }
  friend Pack fma(Pack a, Pack b, Pack c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  friend Pack operator+(Pack a, Pack b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Pack operator-(Pack a, Pack b) { return {_mm512_sub_ps(a.v, b.v)}; }
  // All lanes of the masked form: g++ 12 warns of an uninitialised value inside the plain one.
  friend Pack max(Pack a, Pack b) { return {_mm512_maskz_max_ps(0xffff, a.v, b.v)}; }
  friend Mask operator>(Pack a, Pack b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
  friend Pack select(Mask m, Pack yes, Pack no) { return {_mm512_mask_blend_ps(m.bits, no.v, yes.v)}; }
  friend Mask select(Mask m, Mask yes, Mask no) {
    return {static_cast<__mmask16>((m.bits & yes.bits) | (~m.bits & no.bits))};
  }
  static void store_bits_first(std::uint8_t* to, index_t n, Mask bit0, Mask bit1) {
    const __m128i bytes = _mm_or_si128(_mm_maskz_mov_epi8(bit0.bits, _mm_set1_epi8(1)),
                                       _mm_maskz_mov_epi8(bit1.bits, _mm_set1_epi8(2)));
    _mm_mask_storeu_epi8(to, first(n), bytes);
  }
  static void load_bits_first(const std::uint8_t* from, index_t n, Mask& bit0, Mask& bit1) {
    const __m128i bytes = _mm_maskz_loadu_epi8(first(n), from);
    bit0.bits = _mm_test_epi8_mask(bytes, _mm_set1_epi8(1));
    bit1.bits = _mm_test_epi8_mask(bytes, _mm_set1_epi8(2));
  }
};
#endif

// Sum of the lanes in one fixed order: a butterfly over 8, 4, 2, 1.
SY_HD inline float lane_sum(const float* lane) {
  float a[8], b[4];
  for (int i = 0; i < 8; ++i) a[i] = lane[i] + lane[i + 8];
  for (int i = 0; i < 4; ++i) b[i] = a[i] + a[i + 4];
  return (b[0] + b[2]) + (b[1] + b[3]);
}

}  // namespace switchyard::ops::kernels
