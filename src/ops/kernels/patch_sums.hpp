// Sums and products of the pixels under the weights of a 3x3 convolution, over all its places.
#pragma once

#include "ops/kernels/conv_image.hpp"
#include "ops/kernels/fused_conv.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// Where the partial sums of a chunk lie. A pair of in channels (a, b), a <= b, and a distance dy = ky' - ky
// hold, for each ky that has a ky' in 0..2, the nine products of kx and kx'; a pair of one channel with itself
// needs dy >= 0 only. After the products: the sums of the pixels, nine per channel.
struct PatchSumLayout {
  index_t in_channels;

  SY_HD static int ky_first(int dy) { return dy < 0 ? -dy : 0; }
  SY_HD static int ky_last(int dy) { return dy > 0 ? 2 - dy : 2; }
  // First of the products of (a, b, dy); the one of (ky, kx, kx') follows (ky - ky_first) * 9 + kx * 3 + kx'
  // later.
  SY_HD index_t products(index_t a, index_t b, int dy) const {
    constexpr int before[5] = {0, 9, 27, 54, 72};  // products of the distances below dy = -2, -1, 0, 1, 2
    if (a == b) return a * 54 + before[dy + 2] - before[2];
    return in_channels * 54 + (a * (2 * in_channels - a - 1) / 2 + b - a - 1) * 81 + before[dy + 2];
  }
  SY_HD index_t product_count() const { return in_channels * 54 + in_channels * (in_channels - 1) / 2 * 81; }
  SY_HD index_t count() const { return product_count() + in_channels * 9; }
};

// Chunk i: partials[i] = the sums of PatchSumLayout over the chunk's rows (rows_per_chunk) and all places of
// the convolution, of pixel - pivot. Lane l adds the places with floor(x / 2) mod 16 = l.
struct PatchSums {
  ConvGeometry g;
  tensor::RowSource images;
  const double* pivot;
  float* partials;

  SY_HD PatchSumLayout layout() const { return {g.in_channels}; }
  index_t scratch_bytes() const { return (g.split_floats() + layout().count() * pack_lanes) * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t chunk) const {
    constexpr int width = pack_width<Team>;
    constexpr index_t parts = pack_lanes / width;
    constexpr index_t distances = 5;
    using P = Pack<width>;
    float* const split = team.template scratch<float>();
    float* const lanes = split + g.split_floats();
    const index_t count = layout().count();
    team.for_each(count * pack_lanes, [&](index_t i) { lanes[i] = 0; });
    const index_t end = (chunk + 1) * rows_per_chunk < images.rows ? (chunk + 1) * rows_per_chunk : images.rows;
    for (index_t row = chunk * rows_per_chunk; row < end; ++row) {
      split_image(team, g, images, row, static_cast<float>(*pivot), split);
      team.sync();
      team.for_each(g.in_channels * parts, [&](index_t item) SY_ALWAYS_INLINE {
        const PatchSums k = *this;  // a copy stays in registers: no store can change it
        k.template add_sums<P>(split, item / parts, (item % parts) * width, lanes);
      });
      team.for_each(g.in_channels * g.in_channels * distances * parts, [&](index_t item) SY_ALWAYS_INLINE {
        const PatchSums k = *this;  // a copy stays in registers: no store can change it
        const index_t pair = item / (distances * parts);
        const int dy = static_cast<int>(item / parts % distances) - 2;
        const index_t a = pair / g.in_channels;
        const index_t b = pair % g.in_channels;
        if (a < b || (a == b && dy >= 0))
          k.template add_products<P>(split, a, b, dy, (item % parts) * width, lanes);
      });
      team.sync();  // the next row overwrites the image
    }
    team.for_each(count, [&](index_t i) { partials[chunk * count + i] = lane_sum(lanes + i * pack_lanes); });
  }

 private:
  // The weight of row ky meets the image rows [ky, ky + conv_height). For every ky of first..last: the rows
  // that all of them meet are added once, then to a copy the few that this ky meets besides. add(begin, end,
  // sums) adds image rows.
  template <class P, int count, class Add>
  SY_ALWAYS_INLINE SY_HD void add_windows(int first, int last, float* lanes, const Add& add) const {
    P common[as_size(count)];
    unrolled<count>([&](auto i) SY_ALWAYS_INLINE { common[i] = P::broadcast(0); });
    const index_t common_end = first + g.conv_height;  // at least `last`, since conv_height >= 2
    add(last, common_end, common);
    for (int ky = first; ky <= last; ++ky) {
      P sum[as_size(count)];
      unrolled<count>([&](auto i) SY_ALWAYS_INLINE { sum[i] = common[i]; });
      add(ky, last, sum);
      add(common_end, ky + g.conv_height, sum);
      unrolled<count>([&](auto i) SY_ALWAYS_INLINE {
        float* const to = lanes + ((ky - first) * count + i) * pack_lanes;
        (P::load(to) + sum[i]).store(to);
      });
    }
  }

  // Pixels that the weights kx = 0, 1, 2 meet at the even (2x) and the odd (2x + 1) places of a row of the
  // convolution; zero where the row has ended.
  template <class P>
  SY_ALWAYS_INLINE SY_HD void load_met(const float* split_row, index_t x, P (&at_even)[3],
                                       P (&at_odd)[3]) const {
    const index_t even_left = (g.conv_width + 1) / 2 - x;
    const index_t odd_left = g.conv_width / 2 - x;
    const float* const even = split_row + x;
    const float* const odd = even + g.half_stride;
    at_even[0] = P::load_first(even, even_left);
    at_even[1] = P::load_first(odd, even_left);
    at_even[2] = P::load_first(even + 1, even_left);
    at_odd[0] = P::load_first(odd, odd_left);
    at_odd[1] = P::load_first(even + 1, odd_left);
    at_odd[2] = P::load_first(odd + 1, odd_left);
  }

  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_sums(const float* split, index_t channel, index_t lane, float* lanes) const {
    float* const to = lanes + (layout().product_count() + channel * 9) * pack_lanes + lane;
    const auto add = [&](index_t begin, index_t end, P(&sum)[3]) SY_ALWAYS_INLINE {
      for (index_t x = lane; 2 * (x - lane) < g.conv_width; x += pack_lanes) {
        for (index_t u = begin; u < end; ++u) {
          P at_even[3], at_odd[3];
          load_met(split + g.row_offset(channel, u), x, at_even, at_odd);
          unrolled<3>([&](auto kx) SY_ALWAYS_INLINE { sum[kx] = sum[kx] + (at_even[kx] + at_odd[kx]); });
        }
      }
    };
    add_windows<P, 3>(0, 2, to, add);
  }

  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_products(const float* split, index_t a, index_t b, int dy, index_t lane,
                                           float* lanes) const {
    float* const to = lanes + layout().products(a, b, dy) * pack_lanes + lane;
    const auto add = [&](index_t begin, index_t end, P(&sum)[9]) SY_ALWAYS_INLINE {
      for (index_t x = lane; 2 * (x - lane) < g.conv_width; x += pack_lanes) {
        for (index_t u = begin; u < end; ++u) {
          P at_even[3], at_odd[3], column[4];
          load_met(split + g.row_offset(a, u), x, at_even, at_odd);
          load_columns(split + g.row_offset(b, u + dy), g.half_stride, x, column);
          unrolled<9>([&](auto i) SY_ALWAYS_INLINE {
            sum[i] = fma(at_even[i / 3], column[i % 3], sum[i]);
            sum[i] = fma(at_odd[i / 3], column[i % 3 + 1], sum[i]);
          });
        }
      }
    };
    add_windows<P, 9>(PatchSumLayout::ky_first(dy), PatchSumLayout::ky_last(dy), to, add);
  }
};

// Entry i of the matrix [patch_size][patch_size] of products of a tile, from its chunks.
struct CombineProducts {
  PatchSumLayout layout;
  const float* partials;
  index_t chunks;
  double* products;

  SY_HD void operator()(index_t i) const {
    const index_t patch = layout.in_channels * 9;
    // a comes first: the lower channel, or within one channel the lower row; the matrix is symmetric.
    index_t first = i / patch;
    index_t second = i % patch;
    if (first / 9 > second / 9 || (first / 9 == second / 9 && first / 3 > second / 3)) {
      const index_t swap = first;
      first = second;
      second = swap;
    }
    const int ky = static_cast<int>(first / 3 % 3);
    const int dy = static_cast<int>(second / 3 % 3) - ky;
    const index_t entry = layout.products(first / 9, second / 9, dy) + (ky - PatchSumLayout::ky_first(dy)) * 9 +
                          first % 3 * 3 + second % 3;
    double sum = 0;
    for (index_t c = 0; c < chunks; ++c) sum += partials[c * layout.count() + entry];
    products[i] = sum;
  }
};

// The head of a tile's patch sums: the number of places, and a pivot of zero until there is an image.
struct BeginPatchSums {
  double* places;  // and behind it the pivot
  double place_count;

  SY_HD void operator()(index_t i) const { places[i] = i == 0 ? place_count : 0.0; }
};

}  // namespace switchyard::ops::kernels
