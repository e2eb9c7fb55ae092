// A run of neighbouring floats that one thread of a team handles at once: a vector register on the CPU, a
// single float on a GPU.
//
// A kernel is written once for any width; every operation acts on each lane alone, so a lane's bits do not
// depend on the width. Sums over places use `pack_lanes` lanes whatever the width is: a thread of width 1 takes
// one of them, a thread of width 16 all. So AVX-512, AVX2, the GPU and the concurrent team of the tests give
// the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "device/team.hpp"

// nvcc takes no vector registers in a function that is for the device too: its CPU half computes float by
// float.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && !defined(__CUDACC__)
#define SY_PACK_WIDTH 16
#elif defined(__AVX2__) && defined(__FMA__) && defined(__BMI2__) && !defined(__CUDACC__)
#define SY_PACK_WIDTH 8
#else
#define SY_PACK_WIDTH 1
#endif
#if SY_PACK_WIDTH > 1
#include <immintrin.h>
#endif

// Where arrays of packs must become registers, the function or lambda that holds them has to be inlined.
#define SY_ALWAYS_INLINE __attribute__((always_inline))
#define SY_NO_INLINE __attribute__((noinline))

namespace switchyard::ops::kernels {

inline constexpr int pack_lanes = 16;  // one 512-bit register

// Lanes of one thread of a team.
template <class Team>
inline constexpr int pack_width = 1;
template <>
inline constexpr int pack_width<device::SerialTeam> = SY_PACK_WIDTH;

// f(0), f(1), ... f(count - 1) with the index as a compile-time constant, so that arrays of packs stay in
// registers.
template <int count, class F>
SY_ALWAYS_INLINE SY_HD inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) SY_ALWAYS_INLINE {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, count>{});
}

template <int width>
struct Pack;

// "first" operations touch only the first n places (n may be negative or above the width): lanes from n on load
// as zero and are not stored.
template <>
struct Pack<1> {
  struct Mask {
    bool value;
  };
  float value;

  SY_HD static Pack broadcast(float v) { return {v}; }
  SY_HD static Pack load(const float* from) { return {*from}; }
  SY_HD static Pack load_first(const float* from, index_t n) { return {n > 0 ? *from : 0.0F}; }
  // even lane l = from[2 l], odd lane l = from[2 l + 1]; n counts floats of `from`.
  SY_HD static void load_pairs_first(const float* from, index_t n, Pack& even, Pack& odd) {
    even.value = n > 0 ? from[0] : 0.0F;
    odd.value = n > 1 ? from[1] : 0.0F;
  }
  SY_HD void store(float* to) const { *to = value; }
  SY_HD void store_first(float* to, index_t n) const {
    if (n > 0) *to = value;
  }
  SY_HD friend Pack fma(Pack a, Pack b, Pack c) { return {std::fma(a.value, b.value, c.value)}; }
  SY_HD friend Pack operator+(Pack a, Pack b) { return {a.value + b.value}; }
  SY_HD friend Pack operator-(Pack a, Pack b) { return {a.value - b.value}; }
  SY_HD friend Pack operator*(Pack a, Pack b) { return {a.value * b.value}; }
  // a where a > b, else b: b on ties and where one is a NaN.
  SY_HD friend Pack max(Pack a, Pack b) { return {a.value > b.value ? a.value : b.value}; }
  // As max, but a NaN on either side stays one.
  SY_HD friend Pack max_or_nan(Pack a, Pack b) { return {a.value != a.value ? a.value : max(a, b).value}; }
  SY_HD friend Mask operator>(Pack a, Pack b) { return {a.value > b.value}; }
  SY_HD friend Pack select(Mask m, Pack yes, Pack no) { return m.value ? yes : no; }
  SY_HD friend Mask select(Mask m, Mask yes, Mask no) { return m.value ? yes : no; }
  // One byte per lane: bit 0 and bit 1.
  SY_HD static void store_bits_first(std::uint8_t* to, index_t n, Mask bit0, Mask bit1) {
    if (n > 0) *to = static_cast<std::uint8_t>((bit0.value ? 1 : 0) | (bit1.value ? 2 : 0));
  }
  SY_HD static void load_bits_first(const std::uint8_t* from, index_t n, Mask& bit0, Mask& bit1) {
    const int bits = n > 0 ? *from : 0;
    bit0.value = (bits & 1) != 0;
    bit1.value = (bits & 2) != 0;
  }
};

#if SY_PACK_WIDTH == 8
// One AVX register. A mask is the sign bit of each lane.
template <>
struct Pack<8> {
  struct Mask {
    __m256 v;
  };
  __m256 v;

  static __m256i first(index_t n) {
    const int lanes = n > 8 ? 8 : static_cast<int>(n < 0 ? 0 : n);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Pack broadcast(float value) { return {_mm256_set1_ps(value)}; }
  static Pack load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Pack load_first(const float* from, index_t n) { return {_mm256_maskload_ps(from, first(n))}; }
  static void load_pairs_first(const float* from, index_t n, Pack& even, Pack& odd) {
    const __m256 low = n >= 16 ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, first(n));
    const __m256 high = n >= 16 ? _mm256_loadu_ps(from + 8) : _mm256_maskload_ps(from + 8, first(n - 8));
    // The shuffle works within halves and leaves 64-bit pieces in the order 0 2 1 3.
    const __m256d even_pieces = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88));
    const __m256d odd_pieces = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd));
    even.v = _mm256_castpd_ps(_mm256_permute4x64_pd(even_pieces, 0xd8));
    odd.v = _mm256_castpd_ps(_mm256_permute4x64_pd(odd_pieces, 0xd8));
  }
  void store(float* to) const { _mm256_storeu_ps(to, v); }
  void store_first(float* to, index_t n) const { _mm256_maskstore_ps(to, first(n), v); }
  friend Pack fma(Pack a, Pack b, Pack c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  friend Pack operator+(Pack a, Pack b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Pack operator-(Pack a, Pack b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend Pack operator*(Pack a, Pack b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend Pack max(Pack a, Pack b) { return {_mm256_max_ps(a.v, b.v)}; }
  friend Pack max_or_nan(Pack a, Pack b) {
    return {_mm256_blendv_ps(max(a, b).v, a.v, _mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q))};
  }
  friend Mask operator>(Pack a, Pack b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
  friend Pack select(Mask m, Pack yes, Pack no) { return {_mm256_blendv_ps(no.v, yes.v, m.v)}; }
  friend Mask select(Mask m, Mask yes, Mask no) { return {_mm256_blendv_ps(no.v, yes.v, m.v)}; }
  static void store_bits_first(std::uint8_t* to, index_t n, Mask bit0, Mask bit1) {
    const std::uint64_t bytes =
        _pdep_u64(static_cast<unsigned>(_mm256_movemask_ps(bit0.v)), 0x0101010101010101U) |
        _pdep_u64(static_cast<unsigned>(_mm256_movemask_ps(bit1.v)), 0x0202020202020202U);
    if (n >= 8) {
      std::memcpy(to, &bytes, 8);
    } else {
      for (index_t l = 0; l < n; ++l) to[l] = static_cast<std::uint8_t>(bytes >> (8 * l));
    }
  }
  static void load_bits_first(const std::uint8_t* from, index_t n, Mask& bit0, Mask& bit1) {
    std::uint64_t bytes = 0;
    if (n >= 8) {
      std::memcpy(&bytes, from, 8);
    } else {
      for (index_t l = 0; l < n; ++l) bytes |= static_cast<std::uint64_t>(from[l]) << (8 * l);
    }
    const __m256i bits = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(bytes)));
    bit0.v = _mm256_castsi256_ps(_mm256_slli_epi32(bits, 31));
    bit1.v = _mm256_castsi256_ps(_mm256_slli_epi32(bits, 30));
  }
};
#endif

#if SY_PACK_WIDTH == 16
// One AVX-512 register; lanes outside a mask are neither read nor written.
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
  friend Pack operator*(Pack a, Pack b) { return {_mm512_mul_ps(a.v, b.v)}; }
  // All lanes of the masked form: g++ 12 warns of an uninitialised value inside the plain one.
  friend Pack max(Pack a, Pack b) { return {_mm512_maskz_max_ps(0xffff, a.v, b.v)}; }
  friend Pack max_or_nan(Pack a, Pack b) {
    return {_mm512_mask_max_ps(a.v, _mm512_cmp_ps_mask(a.v, a.v, _CMP_ORD_Q), a.v, b.v)};
  }
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

// Asks for a row that will be read soon. Rows of an expert lie far apart, which no hardware foresees.
SY_HD inline void prefetch_row([[maybe_unused]] const float* row, [[maybe_unused]] index_t floats) {
#if !defined(__CUDA_ARCH__)
  constexpr index_t line = 16;
  for (index_t i = 0; i < floats; i += line) __builtin_prefetch(row + i);
#endif
}

// Rows that a kernel takes together where one alone is too little work for vector registers.
inline constexpr index_t rows_per_block = 64;

// Item i of a grid with `columns` columns. 32 bits: a 64-bit division costs as much as a row of a small image.
struct GridPlace {
  // One column is common, and a division takes as long as the work at a place.
  SY_HD GridPlace(index_t i, index_t columns) : row(i), column(0) {
    if (columns == 1) return;
    row = static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(columns);
    column = i - row * columns;
  }
  index_t row;
  index_t column;
};

template <class P>
inline constexpr index_t pack_floats = static_cast<index_t>(sizeof(P) / sizeof(float));

// Sum of the lanes in one fixed order: a butterfly over 8, 4, 2, 1.
SY_HD inline float lane_sum(const float* lane) {
  float a[8], b[4];
  for (int i = 0; i < 8; ++i) a[i] = lane[i] + lane[i + 8];
  for (int i = 0; i < 4; ++i) b[i] = a[i] + a[i + 4];
  return (b[0] + b[2]) + (b[1] + b[3]);
}

}  // namespace switchyard::ops::kernels
