// Which rows of some tiles a launch takes.
#pragma once

#include <cstdint>

#include "ops/tiles.hpp"

namespace switchyard::ops {

// Rows [first, first + rows) of each tile, as far as it has them.
struct TileRows {
  TileView tiles;
  index_t first = 0;
  index_t rows = 0;

  // All rows of each.
  TileRows(TileView all) : tiles(all), rows(all.most_rows) {}
  TileRows(TileView tiles_in, index_t first_in, index_t rows_in)
      : tiles(tiles_in), first(first_in), rows(rows_in) {}

  // Rows of a launch: as many for each tile, whether it has them or not.
  index_t count() const { return tiles.count * rows; }

  struct Place {
    index_t tile;  // of the view
    index_t set;
    index_t row;  // of the batch
    bool exists;
    bool is_sample;  // and no padding
  };
  SY_HD Place at(index_t i) const {
    index_t tile = 0;
    // One tile is common, and a 64-bit division takes as long as a small row.
    if (tiles.count > 1) tile = static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(rows);
    const index_t of_tile = first + i - tile * rows;
    const Tile& t = tiles[tile];
    return {tile, t.set, t.first_row + of_tile, of_tile < t.rows, of_tile < t.samples};
  }
};

}  // namespace switchyard::ops
