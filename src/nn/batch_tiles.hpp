// How the rows of a batch are cut, and who holds them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "comm/data_plane.hpp"
#include "device/context.hpp"
#include "ops/matmul.hpp"
#include "ops/tile_rows.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::nn {

// Rows side by side, in the precision in which products read them.
struct ProductRows {
  bool in_bf16 = false;  // which of the two holds the rows
  const float* f32 = nullptr;
  const ops::bfloat16* bf16 = nullptr;
  index_t rows = 0;
  index_t cols = 0;

  ProductRows rows_from(index_t first, index_t count) const {
    return {in_bf16, f32 != nullptr ? f32 + first * cols : nullptr,
            bf16 != nullptr ? bf16 + first * cols : nullptr, count, cols};
  }
  ProductRows rows_from(IndexRange range) const { return rows_from(range.begin, range.size()); }
};

// What a layer takes at once: the rows of neighbouring tiles, or a piece of the rows of one.
struct TileRun {
  IndexRange tiles;
  IndexRange rows;
};

// The rows of one network in one step, cut into tiles by a function of the problem's shape only. A tile is the
// unit of arithmetic: one library call, one partial sum. Threads and ranks take whole tiles, so bits do not
// depend on them. Every tile meets one of the network's sets of weights.
//
// Two kinds:
//  - a sharded batch: the global batch of B samples, of one row or several each, in S shards; ranks hold
//  contiguous runs of shards in rank order. Sums over the batch are gathered from all ranks and added in shard
//  order. One set.
//  - the rows of a bank's sets (the experts of a rank), set after set: everything is local.
// Rebuilt every step without allocating once warm. What kernels read of it is in the memory of the context
// after place(), which a CPU does not need.
class BatchTiles {
 public:
  // The sharded batch as rank `data_plane.rank()` sees it. The plane must outlive this object.
  void set_sharded(comm::DataPlane& data_plane, index_t batch_size, index_t shards,
                   index_t rows_per_sample = 1);
  // The sharded batch of `other`, with `times` rows in place of each.
  void set_finer(const BatchTiles& other, index_t times);
  // rows[s] rows of set s, in tiles of at most `tile_rows`. Those of a set from samples[s] on are padding: rows
  // of zeros whose results nobody reads and whose output gradients are zero. Batch statistics leave them out.
  void set_local(Span<const index_t> rows, Span<const index_t> samples, index_t tile_rows);

  // Takes what kernels read to the context's device, in the step's memory. Once, behind the calls above.
  void place(device::Context& context);

  // As kernels see them: tiles; the sets of rows from `first_row` on; and of all rows for the host.
  ops::TileView view(IndexRange tiles) const {
    return {(placed_tiles_ != nullptr ? placed_tiles_ : tiles_.data()) + tiles.begin, tiles.size(),
            most_tile_rows()};
  }
  ops::TileView view() const { return view({0, local_count()}); }
  ops::RowSets row_sets(index_t first_row = 0) const {
    if (set_of_granule_.empty()) return {};
    return {placed_sets_ != nullptr ? placed_sets_ : set_of_granule_.data(), first_row};
  }
  Span<const ops::SetRows> sets() const { return sets_; }
  // What a run takes of each of its tiles: a piece of one, or whole tiles.
  ops::TileRows rows_of_each(const TileRun& run) const {
    const ops::TileView tiles = view(run.tiles);
    if (run.tiles.size() != 1) return tiles;
    return {tiles, run.rows.begin - rows(run.tiles.begin).begin, run.rows.size()};
  }
  // By set, for kernels.
  Span<const ops::SetTiles> set_tiles() const {
    return {placed_set_tiles_ != nullptr ? placed_set_tiles_ : set_tiles_.data(), set_count()};
  }
  index_t most_tiles_of_set() const { return most_tiles_of_set_; }

  index_t local_count() const { return std::ssize(begin_) - 1; }
  index_t total_count() const { return total_tiles_; }
  IndexRange rows(index_t tile) const { return {begin_[tile], begin_[tile + 1]}; }
  IndexRange rows(IndexRange tiles) const { return {begin_[tiles.begin], begin_[tiles.end]}; }
  // rows(tile) without the padding.
  IndexRange samples(index_t tile) const {
    const IndexRange all = rows(tile);
    const index_t end = sample_end_[set(tile)];
    return {std::min(all.begin, end), std::min(all.end, end)};
  }
  // How many rows of a run are padding.
  index_t padding(const TileRun& run) const {
    index_t count = 0;
    for (index_t tile = run.tiles.begin; tile < run.tiles.end; ++tile) {
      const index_t begin = std::max(samples(tile).end, run.rows.begin);
      count += std::max<index_t>(std::min(rows(tile).end, run.rows.end) - begin, 0);
    }
    return count;
  }
  // Whose weights the tile's rows meet.
  index_t set(index_t tile) const { return set_of_tile_.empty() ? 0 : set_of_tile_[tile]; }
  TileRun run(IndexRange tiles) const { return {tiles, rows(tiles)}; }
  // body(set, rows) for the rows of a run that meet the same weights.
  void for_each_set(const TileRun& run, const auto& body) const {
    for (index_t first = run.tiles.begin, end = first; first < run.tiles.end; first = end) {
      while (end < run.tiles.end && set(end) == set(first)) ++end;
      const IndexRange all = rows(IndexRange{first, end});
      body(set(first), IndexRange{std::max(all.begin, run.rows.begin), std::min(all.end, run.rows.end)});
    }
  }
  index_t set_count() const { return std::ssize(first_tile_) - 1; }
  // The tiles of a set among those of all ranks: the place of their sums in gather_tiles().
  IndexRange tiles_of(index_t set) const { return {first_tile_[set], first_tile_[set + 1]}; }
  // Rows of a set on this rank.
  IndexRange rows_of(index_t set) const { return {first_row_of_[set], first_row_of_[set + 1]}; }
  index_t local_rows() const { return begin_.back(); }
  // Of the longest tile of this rank.
  index_t most_tile_rows() const { return most_tile_rows_; }
  index_t total_rows() const { return total_rows_; }
  // Of a sharded batch: rows of every rank.
  Span<const index_t> rows_per_rank() const { return rows_per_rank_; }
  // Of a set on all ranks, without the padding.
  index_t total_samples(index_t set) const { return total_samples_[set]; }
  // Position in the global batch of this rank's first row.
  index_t first_row() const { return first_row_; }
  bool distributed() const { return data_plane_ != nullptr && data_plane_->size() > 1; }

  // mine: [local_count, width]. Returns [total_count, width] in tile order. Collective over the batch's ranks.
  // The result lives in the workspace (or is `mine`).
  template <class T>
  Span<const T> gather_tiles(device::Context& context, Span<T> mine, index_t width) const {
    return gather<std::remove_const_t<T>>(context, mine, tiles_per_rank_, total_tiles_, width);
  }
  // All rows of the batch in global order, from this rank's rows. Collective.
  ProductRows gather_rows(device::Context& context, const ProductRows& mine) const;

 private:
  void list_tiles();
  template <class T>
  Span<const T> gather(device::Context& context, Span<const T> mine, Span<const index_t> per_rank,
                       index_t total, index_t width) const {
    if (!distributed()) return mine;
    const Span<T> all = context.workspace().allocate<T>(total * width);
    data_plane_->all_gather_rows<T>(context, mine, all, per_rank, width);
    return all;
  }

  comm::DataPlane* data_plane_ = nullptr;
  index_t total_tiles_ = 0;
  index_t total_rows_ = 0;
  index_t first_row_ = 0;
  Vector<index_t> begin_ = {0};
  Vector<index_t> set_of_tile_;                 // empty: one set
  Vector<index_t> first_tile_ = {0};            // by set, and one behind the last
  Vector<index_t> first_row_of_ = {0};          // by set, and one behind the last
  Vector<index_t> sample_end_, total_samples_;  // by set
  std::vector<index_t> tiles_per_rank_;
  std::vector<index_t> rows_per_rank_;

  // The same for kernels, and where it lies for them: null where it is the host's.
  Vector<ops::Tile> tiles_;
  Vector<std::int32_t> set_of_granule_;  // empty: one set
  Vector<ops::SetRows> sets_;
  Vector<ops::SetTiles> set_tiles_;
  index_t most_tile_rows_ = 0;
  index_t most_tiles_of_set_ = 0;
  const ops::Tile* placed_tiles_ = nullptr;
  const std::int32_t* placed_sets_ = nullptr;
  const ops::SetTiles* placed_set_tiles_ = nullptr;
};

}  // namespace switchyard::nn
