// The tiles of a batch as kernels see them.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "base/partition.hpp"

namespace switchyard::ops {

// Rows of a set with several begin, and end with their padding, at a multiple of this: so many neighbours meet
// the same weights.
inline constexpr index_t granule_rows = 64;

// Neighbouring rows of a batch that meet the weights of one set; of them the first `samples` are no padding.
struct Tile {
  std::int32_t first_row;
  std::int32_t rows;
  std::int32_t samples;
  std::int32_t set;
};

// Neighbouring tiles, in the memory of a context.
struct TileView {
  const Tile* tiles = nullptr;
  index_t count = 0;
  index_t most_rows = 0;  // of one of them: launches cover as many of each

  SY_HD const Tile& operator[](index_t tile) const { return tiles[tile]; }
};

// Whose weights a row meets, in the memory of a context. Row 0 is row `first_row` of the batch.
struct RowSets {
  const std::int32_t* of_granule = nullptr;  // null: those of set 0
  index_t first_row = 0;

  SY_HD index_t of(index_t row) const {
    return of_granule == nullptr ? 0 : of_granule[(first_row + row) / granule_rows];
  }
};

// The same for the host: rows of the batch, and their set.
struct SetRows {
  index_t set;
  IndexRange rows;
};

// The tiles of a set among those of all ranks, and its rows on all ranks without the padding.
struct SetTiles {
  std::int32_t begin;
  std::int32_t end;
  std::int64_t samples;
};

}  // namespace switchyard::ops
