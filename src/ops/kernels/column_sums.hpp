// Sums down the columns of a matrix, for kernels whose "row" is a block of columns.
#pragma once

#include "base/host_device.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// Columns of a block. A GPU wants many blocks; a CPU is fast where it reads a row to its end.
inline index_t columns_of_block(device::DeviceKind device) {
  return device == device::DeviceKind::cuda ? 128 : 1024;
}

// store(c, sum over r < rows of term(r)(c)), in float64, for the columns c of one block out of `cols`; scratch
// holds a double for each column of a block. A team gives one c to the same thread in every for_each, so that
// no sync is needed on the way down the rows, and each column is added in row order.
template <class Team, class Term, class Store>
SY_HD void add_block_of_columns(const Team& team, index_t rows, index_t cols, index_t block, index_t index,
                                const Term& term, const Store& store) {
  const index_t first = index * block;
  const index_t n = cols - first < block ? cols - first : block;
  double* const sum = team.template scratch<double>();
  team.for_each(n, [&](index_t c) { sum[c] = 0; });
  for (index_t r = 0; r < rows; ++r) {
    const auto of_row = term(r);
    team.for_each(n, [&](index_t c) { sum[c] += of_row(first + c); });
  }
  team.for_each(n, [&](index_t c) { store(first + c, sum[c]); });
}

// The same to sums[c].
template <class Team, class Term>
SY_HD void sum_block_of_columns(const Team& team, index_t rows, index_t cols, index_t block, index_t index,
                                float* sums, const Term& term) {
  add_block_of_columns(team, rows, cols, block, index, term,
                       [=](index_t c, double sum) { sums[c] = static_cast<float>(sum); });
}

// The blocks of columns of the rows of tiles: those of a tile are `count` neighbouring rows of a launch.
struct TileColumns {
  TileView tiles;
  index_t cols;
  index_t block;  // columns
  index_t count;  // blocks of a tile

  TileColumns(device::DeviceKind device, TileView tiles_in, index_t cols_in)
      : tiles(tiles_in), cols(cols_in), block(columns_of_block(device)), count((cols + block - 1) / block) {}

  index_t rows() const { return tiles.count * count; }
  index_t scratch_bytes() const { return block * size_of<double>; }
  // The sums over a tile's rows to sums[tile * stride + c]. term: of rows of the batch.
  template <class Team, class Term>
  SY_HD void sum(const Team& team, index_t row, float* sums, index_t stride, const Term& term) const {
    const index_t tile = row / count;
    const index_t first = tiles[tile].first_row;
    sum_block_of_columns(team, tiles[tile].rows, cols, block, row % count, sums + tile * stride,
                         [=](index_t r) { return term(first + r); });
  }
};

}  // namespace switchyard::ops::kernels
