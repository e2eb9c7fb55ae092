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

// Chunk i of the tiles: partials[i] = the sums of PatchSumLayout over the chunk's rows (rows_per_chunk) and all
// places of the convolution, of pixel - pivot. Lane l adds the places with floor(x / 2) mod 16 = l.
struct PatchSums {
  ConvGeometry g;
  TileChunks chunks;
  tensor::RowSource images;
  const double* patch_sums;  // of each tile, with the pivot
  float* partials;

  SY_HD PatchSumLayout layout() const { return {g.in_channels}; }
  static index_t scratch_bytes(const ConvGeometry& g) {
    return (g.split_floats() + PatchSumLayout{g.in_channels}.count() * pack_lanes) * size_of<float>;
  }
  index_t scratch_bytes() const { return scratch_bytes(g); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    const TileChunks::Chunk chunk = chunks.at(i);
    if (chunk.empty()) return;
    constexpr int width = pack_width<Team>;
    constexpr index_t parts = pack_lanes / width;
    constexpr index_t distances = 5;
    using P = Pack<width>;
    float* const split = team.template scratch<float>();
    float* const lanes = split + g.split_floats();
    const index_t count = layout().count();
    const auto pivot = static_cast<float>(patch_sums[chunk.tile * g.patch_sums_count() + 1]);
    team.for_each(count * pack_lanes, [&](index_t l) { lanes[l] = 0; });
    for (index_t row = chunk.begin; row < chunk.end; ++row) {
      split_image(team, g, images, row, pivot, split);
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
    team.for_each(count, [&](index_t k) { partials[i * count + k] = lane_sum(lanes + k * pack_lanes); });
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

// Row t: the head of tile t's patch sums: the number of places, and the mean of its first sample, by which its
// pixels are shifted; 0 without any.
struct BeginPatchSums {
  TileView tiles;
  index_t places;  // of an image
  index_t count;   // conv_patch_sums_count
  tensor::RowSource images;
  double* patch_sums;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t t) const {
    const Tile tile = tiles[t];
    const index_t pixels = tile.samples > 0 ? images.cols : 0;
    const float* const image = pixels > 0 ? images.row(tile.first_row) : nullptr;
    const float sum = team.sum(pixels, [&](index_t i) { return image[i]; });
    double* const to = patch_sums + t * count;
    team.once([&] {
      to[0] = static_cast<double>(tile.samples * places);
      // A float, so that pixel - pivot is the same difference wherever it is taken.
      to[1] = pixels > 0 ? sum / static_cast<float>(pixels) : 0.0F;
    });
  }
};

// Entry (tile, i): entry i of [patch_size] sums and [patch_size][patch_size] products of the tile, from its
// chunks.
struct AddPatchSums {
  TileChunks chunks;
  PatchSumLayout layout;
  const float* partials;
  double* patch_sums;

  SY_HD index_t patch_size() const { return layout.in_channels * 9; }
  SY_HD index_t entries() const { return patch_size() * (1 + patch_size()); }
  index_t count() const { return chunks.tiles.count * entries(); }

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, entries());
    const index_t tile = place.row;
    const index_t from = place.column < patch_size() ? layout.product_count() + place.column
                                                     : product(place.column - patch_size());
    const float* const of_tile = partials + tile * chunks.of_tile * layout.count() + from;
    const index_t of_chunks = chunks.chunks_of(tile);
    double sum = 0;
    for (index_t c = 0; c < of_chunks; ++c) sum += of_tile[c * layout.count()];
    patch_sums[tile * (2 + entries()) + 2 + place.column] = sum;
  }

 private:
  // Where the partial sums of entry i of the matrix of products lie.
  SY_HD index_t product(index_t i) const {
    // a comes first: the lower channel, or within one channel the lower row; the matrix is symmetric.
    index_t first = i / patch_size();
    index_t second = i % patch_size();
    if (first / 9 > second / 9 || (first / 9 == second / 9 && first / 3 > second / 3)) {
      const index_t swap = first;
      first = second;
      second = swap;
    }
    const int ky = static_cast<int>(first / 3 % 3);
    const int dy = static_cast<int>(second / 3 % 3) - ky;
    return layout.products(first / 9, second / 9, dy) + (ky - PatchSumLayout::ky_first(dy)) * 9 +
           first % 3 * 3 + second % 3;
  }
};

}  // namespace switchyard::ops::kernels
