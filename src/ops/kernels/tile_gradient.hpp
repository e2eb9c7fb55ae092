// Kernels of ops/tile_gradient.hpp, against Team (device/team.hpp).
#pragma once

#include "base/host_device.hpp"
#include "ops/convert.hpp"
#include "ops/kernels/math.hpp"
#include "ops/tile_gradient.hpp"

namespace switchyard::ops::kernels {

SY_HD inline float number(float value) { return value; }
SY_HD inline float number(bfloat16 value) { return to_float(value); }

// "Row" is a tile and a square block of its gradient, of which a thread has 4 x 4 elements in registers.
// Neighbours read the same numbers of a row, from the cache.
template <class Number>
struct TileGradient {
  static constexpr index_t side = 64;
  static constexpr index_t own = 4;  // of a side
  static constexpr index_t items = (side / own) * (side / own);

  TileView tiles;
  TileFactors<Number> rows;
  float* gradient;
  index_t stride;
  index_t in_blocks, out_blocks;

  // A block of threads, though it shares nothing.
  index_t scratch_bytes() const { return items * own * own * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const TileGradient k = *this;
    const index_t tile = row / (in_blocks * out_blocks);
    const index_t block = row % (in_blocks * out_blocks);
    team.for_each(items, [=](index_t item) {
      const index_t i = block / k.out_blocks * side + item / (side / own) * own;
      const index_t j = block % k.out_blocks * side + item % (side / own) * own;
      k.add(tile, i, j);
    });
  }

 private:
  SY_HD void add(index_t tile, index_t i, index_t j) const {
    const index_t i_count = rows.in - i < own ? rows.in - i : own;
    const index_t j_count = rows.out - j < own ? rows.out - j : own;
    if (i_count <= 0 || j_count <= 0) return;
    float sum[own][own] = {};
    const index_t end = index_t{tiles[tile].first_row} + tiles[tile].rows;
    for (index_t r = tiles[tile].first_row; r < end; ++r) {
      float x[own], y[own];
      for (index_t a = 0; a < own; ++a) x[a] = a < i_count ? number(rows.x[r * rows.x_stride + i + a]) : 0.0F;
      for (index_t b = 0; b < own; ++b) y[b] = b < j_count ? number(rows.y[r * rows.y_stride + j + b]) : 0.0F;
      for (index_t a = 0; a < own; ++a) {
        for (index_t b = 0; b < own; ++b) sum[a][b] = fused_multiply_add(x[a], y[b], sum[a][b]);
      }
    }
    float* const to = gradient + tile * stride + i * rows.out + j;
    for (index_t a = 0; a < i_count; ++a) {
      for (index_t b = 0; b < j_count; ++b) to[a * rows.out + b] = sum[a][b];
    }
  }
};

}  // namespace switchyard::ops::kernels
