// Sums over the rows of tiles: each tile's in chunks of a few rows, whose sums are added afterwards.
#pragma once

#include "device/context.hpp"
#include "ops/kernels/column_sums.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

enum class TakenRows { all, samples };

// Chunk i of a launch is chunk i % of_tile of tile i / of_tile; those behind a tile's last row are empty.
struct TileChunks {
  TileView tiles;
  index_t chunk_rows;
  TakenRows taken;
  index_t of_tile;  // chunks of the longest tile

  TileChunks(TileView tiles_in, index_t chunk_rows_in, TakenRows taken_in)
      : tiles(tiles_in),
        chunk_rows(chunk_rows_in),
        taken(taken_in),
        of_tile((tiles.most_rows + chunk_rows - 1) / chunk_rows) {}

  index_t count() const { return tiles.count * of_tile; }
  SY_HD index_t rows_of(index_t tile) const {
    return taken == TakenRows::samples ? tiles[tile].samples : tiles[tile].rows;
  }
  SY_HD index_t chunks_of(index_t tile) const { return (rows_of(tile) + chunk_rows - 1) / chunk_rows; }

  struct Chunk {
    index_t tile;
    index_t begin, end;  // rows of the batch
    SY_HD bool empty() const { return begin >= end; }
  };
  SY_HD Chunk at(index_t i) const {
    const GridPlace place(i, of_tile);
    const index_t first = place.column * chunk_rows;
    const index_t rows = rows_of(place.row);
    const index_t end = first + chunk_rows < rows ? first + chunk_rows : rows;
    const index_t begin_of_tile = tiles[place.row].first_row;
    return {place.row, begin_of_tile + first, begin_of_tile + end};
  }
};

// Rows that are taken of all tiles, for counts of work: where the host cannot read the tiles, as if each had
// the most.
inline index_t counted_rows(const device::Context& context, const TileChunks& chunks) {
  if (context.memory() == device::MemoryKind::device) return chunks.tiles.count * chunks.tiles.most_rows;
  index_t rows = 0;
  for (index_t tile = 0; tile < chunks.tiles.count; ++tile) rows += chunks.rows_of(tile);
  return rows;
}

// "Row" here is a block of columns of a tile: store.put(tile, column, sum) with the sum over the tile's chunks
// of partials[chunk][column], in float64 and in the order of the chunks.
template <class Store>
struct AddChunks {
  TileChunks chunks;
  const float* partials;  // [chunks.count(), width]
  index_t width;
  index_t block;  // columns
  Store store;

  AddChunks(device::DeviceKind device, const TileChunks& chunks_in, const float* partials_in, index_t width_in,
            const Store& store_in)
      : chunks(chunks_in),
        partials(partials_in),
        width(width_in),
        block(columns_of_block(device)),
        store(store_in) {}

  SY_HD index_t blocks() const { return (width + block - 1) / block; }
  index_t rows() const { return chunks.tiles.count * blocks(); }
  index_t scratch_bytes() const { return block * size_of<double>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const GridPlace place(row, blocks());
    const index_t tile = place.row;
    const float* const of_tile = partials + tile * chunks.of_tile * width;
    add_block_of_columns(
        team, chunks.chunks_of(tile), width, block, place.column,
        [&](index_t chunk) {
          const float* const in = of_tile + chunk * width;
          return [=](index_t c) { return in[c]; };
        },
        [&](index_t c, double sum) { store.put(tile, c, sum); });
  }
};

// The sums of a tile as its row of a matrix.
struct StoreInRows {
  tensor::Matrix to;
  SY_HD void put(index_t tile, index_t column, double sum) const { to(tile, column) = static_cast<float>(sum); }
};

}  // namespace switchyard::ops::kernels
