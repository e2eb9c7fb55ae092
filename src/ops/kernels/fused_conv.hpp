// 3x3 valid convolution, affine, ReLU and 2x2 max pooling of one sample, and the weight gradients of a few
// samples.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/kernels/conv_image.hpp"
#include "ops/kernels/many_rows.hpp"
#include "ops/kernels/tile_chunks.hpp"
#include "ops/tile_rows.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// Row r of the tiles' rows: out[r] and argmax_place[r] from images.row(r).
struct FusedConvForward {
  ConvGeometry g;
  TileRows rows;
  tensor::RowSource images;
  ConvWeights weights;
  PooledResult result;

  static index_t scratch_bytes(const ConvGeometry& g) {
    return (g.split_floats() + g.out_channels * (1 + g.patch_size())) * size_of<float>;
  }
  index_t scratch_bytes() const { return scratch_bytes(g); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    constexpr int width = pack_width<Team>;
    using P = Pack<width>;
    const TileRows::Place at = rows.at(i);
    if (!at.exists) return;
    const index_t row = at.row;
    if (!at.is_sample) {
      float* const to = result.out.row(row);
      team.for_each(result.out.cols, [=](index_t v) { to[v] = 0; });
      return;
    }
    // Eight accumulators hide the latency of a fused multiply-add, and with sixteen inputs fill the 32
    // registers: two channels of one row of windows, or the last of an odd number of channels in two rows.
    constexpr index_t rows_per_item = width > 1 ? 2 : 1;
    float* const split = team.template scratch<float>();
    float* const folded = split + g.split_floats();
    split_image(team, g, images, row, 0.0F, split);
    fold(team, at.set, folded);
    team.sync();
    const index_t packs = (g.pooled_width + width - 1) / width;
    const index_t items = (g.pooled_height + rows_per_item - 1) / rows_per_item * packs;
    team.for_each(items, [=, this](index_t item) SY_ALWAYS_INLINE {
      const FusedConvForward k = *this;  // a copy stays in registers: no store can change it
      const GridPlace place(item, packs);
      const index_t first = place.row * rows_per_item;
      const index_t end = first + rows_per_item < k.g.pooled_height ? first + rows_per_item : k.g.pooled_height;
      const index_t x = place.column * width;
      index_t c = 0;
      for (; c + 2 <= k.g.out_channels; c += 2) {
        for (index_t y = first; y < end; ++y) k.template pool_windows<P, 2, 1>(split, folded, row, c, y, x);
      }
      if (c == k.g.out_channels) return;
      if (end - first == 2) {
        k.template pool_windows<P, 1, 2>(split, folded, row, c, first, x);
      } else {
        k.template pool_windows<P, 1, 1>(split, folded, row, c, first, x);
      }
    });
  }

 private:
  // scale (w * x + b) + shift = (scale w) x + (scale b + shift), folded in float64 and rounded once.
  // Per channel: the bias, then the weights.
  template <class Team>
  SY_HD void fold(const Team& team, index_t set, float* folded) const {
    const index_t patch = g.patch_size();
    const float* const weight = weights.weight.of(set);
    const float* const bias = weights.bias.of(set);
    const float* const scale = weights.affine.scale.of(set);
    const float* const shift = weights.affine.shift.of(set);
    team.for_each(g.out_channels, [&](index_t c) SY_ALWAYS_INLINE {
      const double factor = scale != nullptr ? scale[c] : 1.0;
      const double offset = shift != nullptr ? shift[c] : 0.0;
      float* const to = folded + c * (1 + patch);
      const float* const from = weight + c * patch;
      const float added = bias != nullptr ? bias[c] : 0.0F;
      to[0] = static_cast<float>(factor * added + offset);
      for (index_t k = 0; k < patch; k += 9) {
        unrolled<9>([&](auto i) SY_ALWAYS_INLINE { to[1 + k + i] = static_cast<float>(factor * from[k + i]); });
      }
    });
  }

  // The windows (y, x), (y, x + 1), ... and those of the rows below, of `channels` channels from c on.
  template <class P, int channels, int rows>
  SY_ALWAYS_INLINE SY_HD void pool_windows(const float* split, const float* folded, index_t row, index_t c,
                                           index_t y, index_t x) const {
    const index_t stride = 1 + g.patch_size();
    P z[as_size(channels)][as_size(2 * rows)][2];  // the convolution at the four places of each window
    unrolled<channels>([&](auto j) SY_ALWAYS_INLINE {
      const P bias_j = P::broadcast(folded[(c + j) * stride]);
      unrolled<4 * rows>([&](auto i) SY_ALWAYS_INLINE { z[j][i / 2][i % 2] = bias_j; });
    });
    for (index_t channel = 0; channel < g.in_channels; ++channel) {
      const float* const first_row = split + g.row_offset(channel, 2 * y);
      P patch[as_size(2 * rows + 2)][4];
      unrolled<2 * rows + 2>([&](auto r) SY_ALWAYS_INLINE {
        load_columns(first_row + r * 2 * g.half_stride, g.half_stride, x, patch[r]);
      });
      unrolled<channels>([&](auto j) SY_ALWAYS_INLINE {
        const float* const w = folded + (c + j) * stride + 1 + channel * 9;
        unrolled<9>([&](auto k) SY_ALWAYS_INLINE {
          const P weight_k = P::broadcast(w[k]);
          unrolled<4 * rows>([&](auto i) SY_ALWAYS_INLINE {
            P& sum = z[j][i / 2][i % 2];
            sum = fma(patch[i / 2 + k / 3][i % 2 + k % 3], weight_k, sum);
          });
        });
      });
    }
    unrolled<channels>([&](auto j) SY_ALWAYS_INLINE {
      unrolled<rows>([&](auto r)
                         SY_ALWAYS_INLINE { pool(z[j][2 * r], z[j][2 * r + 1], row, c + j, y + r, x); });
    });
  }

  // The largest of four, the first on ties, then ReLU. A NaN in any place stays one.
  template <class P>
  SY_ALWAYS_INLINE SY_HD void pool(const P (&top)[2], const P (&bottom)[2], index_t row, index_t c, index_t y,
                                   index_t x) const {
    const auto upper_right = top[1] > top[0];
    const auto lower_right = bottom[1] > bottom[0];
    const P upper = max_or_nan(top[1], top[0]);
    const P lower = max_or_nan(bottom[1], bottom[0]);
    const auto is_lower = lower > upper;
    const index_t feature = (c * g.pooled_height + y) * g.pooled_width + x;
    max(P::broadcast(0), max_or_nan(lower, upper))
        .store_first(result.out.row(row) + feature, g.pooled_width - x);
    if (result.argmax_place != nullptr) {
      P::store_bits_first(result.argmax_place + row * result.out.cols + feature, g.pooled_width - x,
                          select(is_lower, lower_right, upper_right), is_lower);
    }
  }
};

// Rows are taken in chunks of this many, a chunk by one team. The sums of a chunk are kept in float32 lanes
// across its rows, so that adding up the lanes costs little, and chunks are added in float64.
inline constexpr index_t rows_per_chunk = 8;

// Bytes that a GPU gives to a team's sums: whatever the number of channels, two teams then share a
// multiprocessor of sm_80 or later.
inline constexpr index_t most_lane_bytes = 48 << 10;

// Output channels whose sums a team keeps on a GPU.
inline index_t channels_of_block(const ConvGeometry& g) {
  const index_t bytes_of_channel = (g.patch_size() + 1) * pack_lanes * size_of<float>;
  return std::min(g.out_channels, most_lane_bytes / bytes_of_channel);
}

// The same on a device. A CPU takes all, since an image is split anew for each group.
inline index_t channels_at_once(const device::Context& context, const ConvGeometry& g) {
  return wants_many_rows(context) ? channels_of_block(g) : g.out_channels;
}

// Chunk i of the tiles: partials[i] = sums over the chunk's rows and windows,
//   [weight_count]  dy * (x - pivot), x the pixel under the weight when the window's maximum is computed
//   [out_channels]  dy
// where dy = d_out where out > 0, else 0. Lane l adds the windows with X mod 16 = l by rows, then Y, then X.
//
// A row of the launch is a group of output channels of a chunk, whose sums are its own.
struct PatchGradients {
  ConvGeometry g;
  TileChunks chunks;
  tensor::RowSource images;
  const double* patch_sums;  // of each tile, with the pivot; null: 0
  PooledGradient pooled;
  float* partials;
  index_t group;  // output channels

  SY_HD index_t sum_count() const { return g.weight_count() + g.out_channels; }
  SY_HD index_t groups() const { return (g.out_channels + group - 1) / group; }
  index_t rows() const { return chunks.count() * groups(); }
  static index_t scratch_bytes(const ConvGeometry& g, index_t group) {
    return (g.split_floats() + group * (g.patch_size() + 1) * pack_lanes) * size_of<float>;
  }
  index_t scratch_bytes() const { return scratch_bytes(g, group); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    constexpr int width = pack_width<Team>;
    constexpr index_t parts = pack_lanes / width;
    const GridPlace place(i, groups());
    const TileChunks::Chunk chunk = chunks.at(place.row);
    if (chunk.empty()) return;
    float* const split = team.template scratch<float>();
    float* const lanes = split + g.split_floats();
    const float pivot =
        patch_sums != nullptr ? static_cast<float>(patch_sums[chunk.tile * g.patch_sums_count() + 1]) : 0.0F;
    const Channels of = channels(place.column);
    const index_t weights = of.count * g.patch_size();
    team.for_each((weights + of.count) * pack_lanes, [&](index_t l) { lanes[l] = 0; });
    for (index_t row = chunk.begin; row < chunk.end; ++row) {
      split_image(team, g, images, row, pivot, split);
      team.sync();
      team.for_each(of.count * g.in_channels * parts, [&](index_t item) SY_ALWAYS_INLINE {
        const PatchGradients k = *this;  // a copy stays in registers: no store can change it
        const index_t pair = item / parts;
        k.template add_row<Pack<width>>(split, row, of, pair / g.in_channels, pair % g.in_channels,
                                        (item % parts) * width, lanes);
      });
      team.sync();  // the next row overwrites the image
    }
    float* const to = partials + place.row * sum_count();
    team.for_each(weights,
                  [&](index_t k) { to[of.first * g.patch_size() + k] = lane_sum(lanes + k * pack_lanes); });
    team.for_each(of.count, [&](index_t c) {
      to[g.weight_count() + of.first + c] = lane_sum(lanes + (weights + c) * pack_lanes);
    });
  }

 private:
  struct Channels {
    index_t first, count;
  };
  SY_HD Channels channels(index_t number) const {
    const index_t first = number * group;
    const index_t left = g.out_channels - first;
    return {first, left < group ? left : group};
  }

  // One row's part of the nine sums of (output channel `index` of the group, in channel), lanes from `lane` on;
  // and of that channel's dy.
  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_row(const float* split, index_t row, Channels of, index_t index,
                                      index_t channel, index_t lane, float* lanes) const {
    const index_t c = of.first + index;
    float* const weight_lanes = lanes + (index * g.in_channels + channel) * 9 * pack_lanes + lane;
    float* const bias_lanes = lanes + (of.count * g.patch_size() + index) * pack_lanes + lane;
    P sum[9];
    unrolled<9>([&](auto k) SY_ALWAYS_INLINE { sum[k] = P::load(weight_lanes + k * pack_lanes); });
    const P zero = P::broadcast(0);
    const bool owns_bias = channel == 0;  // one of the threads that share the out channel
    P sum_dy = owns_bias ? P::load(bias_lanes) : zero;
    for (index_t y = 0; y < g.pooled_height; ++y) {
      for (index_t x = lane; x - lane < g.pooled_width; x += pack_lanes) {
        const index_t feature = (c * g.pooled_height + y) * g.pooled_width + x;
        const index_t n = g.pooled_width - x;
        typename P::Mask is_right, is_lower;
        P::load_bits_first(pooled.argmax_place + row * pooled.out.cols + feature, n, is_right, is_lower);
        const P dy = select(P::load_first(pooled.out.row(row) + feature, n) > zero,
                            P::load_first(pooled.d_out.row(row) + feature, n), zero);
        sum_dy = sum_dy + dy;
        P patch[4][3];  // of the patch's four columns the three under the maximum
        unrolled<4>([&](auto r) SY_ALWAYS_INLINE {
          P column[4];
          load_columns(split + g.row_offset(channel, 2 * y + r), g.half_stride, x, column);
          unrolled<3>([&](auto kx)
                          SY_ALWAYS_INLINE { patch[r][kx] = select(is_right, column[kx + 1], column[kx]); });
        });
        unrolled<9>([&](auto k) SY_ALWAYS_INLINE {
          sum[k] = fma(dy, select(is_lower, patch[k / 3 + 1][k % 3], patch[k / 3][k % 3]), sum[k]);
        });
      }
    }
    unrolled<9>([&](auto k) SY_ALWAYS_INLINE { sum[k].store(weight_lanes + k * pack_lanes); });
    if (owns_bias) sum_dy.store(bias_lanes);
  }
};

}  // namespace switchyard::ops::kernels
