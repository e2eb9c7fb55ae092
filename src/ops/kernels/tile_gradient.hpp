// Kernels of ops/tile_gradient.hpp, against Team (device/team.hpp).
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/block_product.hpp"
#include "ops/tile_gradient.hpp"

namespace switchyard::ops::kernels {

// "Row" is a range of rows of the batch and a square block of its gradient. Ranges has
//   IndexRange of(i)   the rows of range i
//   bool skips(i)      if there is nothing to do for it
// and the gradient of range i begins `apart` floats behind that of range i - 1.
template <class Number, class Ranges>
struct RowGradients {
  using Block = BlockProduct<float>;
  static constexpr index_t side = Block::side;

  Ranges ranges;
  TileFactors<Number> rows;
  float* gradient;
  index_t apart;
  bool added;
  index_t in_blocks = (rows.in + side - 1) / side;
  index_t out_blocks = (rows.out + side - 1) / side;

  static constexpr index_t scratch_bytes() { return Block::scratch_bytes(); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t range = row / (in_blocks * out_blocks), block = row % (in_blocks * out_blocks);
    if (ranges.skips(range)) return;
    const IndexRange of_range = ranges.of(range);
    const index_t i = block / out_blocks * side, j = block % out_blocks * side;
    float* const to = gradient + range * apart + i * rows.out + j;
    const Operand<Number> x{rows.x + of_range.begin * rows.x_stride + i, 1, rows.x_stride};
    const Operand<Number> y{rows.y + of_range.begin * rows.y_stride + j, 1, rows.y_stride};
    Block::compute(team, x, rows.in - i, y, rows.out - j, of_range.size(),
                   [&](index_t r, index_t q, Four<float> sums, index_t count) {
                     float* const at = to + r * rows.out + q;
                     for (int c = 0; c < 4; ++c) {
                       if (added && c < count) sums.value[c] += at[c];
                     }
                     write_neighbours(at, sums, count);
                   });
  }
};

struct RowsOfTiles {
  TileView tiles;

  SY_HD bool skips(index_t /*tile*/) const { return false; }
  SY_HD IndexRange of(index_t tile) const {
    const index_t first = tiles[tile].first_row;
    return {first, first + tiles[tile].rows};
  }
};

// Of the sets with fewer rows than `too_many`; their padding is left out.
struct RowsOfSets {
  const Tile* tiles;
  const SetTiles* sets;
  index_t too_many;

  SY_HD bool skips(index_t set) const { return sets[set].samples >= too_many; }
  SY_HD IndexRange of(index_t set) const {
    if (sets[set].samples == 0) return {0, 0};
    const index_t first = tiles[sets[set].begin].first_row;
    return {first, first + sets[set].samples};
  }
};

}  // namespace switchyard::ops::kernels
