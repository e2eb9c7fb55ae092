// How the rows of a batch are cut, and who holds them.
#pragma once

#include <algorithm>
#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "device/workspace.hpp"
#include "ops/matmul.hpp"
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

// The rows of one network in one step, cut into tiles by a function of the problem's shape only. A tile is the
// unit of arithmetic: one library call, one partial sum. Threads and ranks take whole tiles, so bits do not
// depend on them.
//
// Two kinds:
//  - a sharded batch: the global batch of B samples in S shards; ranks hold contiguous runs of shards in rank
//  order.
//    Sums over the batch are gathered from all ranks and added in shard order.
//  - the rows of one expert on its owner: everything is local.
// Rebuilt every step without allocating once warm.
class BatchTiles {
 public:
  // The sharded batch as rank `communicator.rank()` sees it. The communicator must outlive this object.
  void set_sharded(comm::Communicator& communicator, index_t batch_size, index_t shards);
  // `rows` rows on this rank alone, in tiles of at most `tile_rows`. Those from `samples` on are padding: rows
  // of zeros whose results nobody reads and whose output gradients are zero. Batch statistics leave them out.
  void set_local(index_t rows, index_t samples, index_t tile_rows);

  index_t local_count() const { return std::ssize(begin_) - 1; }
  index_t total_count() const { return total_tiles_; }
  IndexRange rows(index_t tile) const { return {begin_[tile], begin_[tile + 1]}; }
  // rows(tile) without the padding.
  IndexRange samples(index_t tile) const {
    const IndexRange all = rows(tile);
    return {std::min(all.begin, local_samples_), std::min(all.end, local_samples_)};
  }
  index_t local_rows() const { return begin_.back(); }
  // Of the longest tile of this rank.
  index_t most_tile_rows() const {
    index_t most = 0;
    for (index_t tile = 0; tile < local_count(); ++tile) most = std::max(most, rows(tile).size());
    return most;
  }
  index_t total_rows() const { return total_rows_; }
  // Of all tiles, without the padding.
  index_t total_samples() const { return total_samples_; }
  // Position in the global batch of this rank's first row.
  index_t first_row() const { return first_row_; }
  bool distributed() const { return communicator_ != nullptr && communicator_->size() > 1; }

  // mine: [local_count, width]. Returns [total_count, width] in tile order. Collective over the batch's ranks.
  // The result lives in the workspace (or is `mine`).
  template <class T>
  Span<const T> gather_tiles(device::Workspace& workspace, Span<T> mine, index_t width) const {
    return gather<std::remove_const_t<T>>(workspace, mine, tiles_per_rank_, total_tiles_, width);
  }
  // All rows of the batch in global order, from this rank's rows. Collective.
  ProductRows gather_rows(device::Workspace& workspace, const ProductRows& mine) const;

 private:
  template <class T>
  Span<const T> gather(device::Workspace& workspace, Span<const T> mine, Span<const index_t> per_rank,
                       index_t total, index_t width) const {
    if (!distributed()) return mine;
    const Span<T> all = workspace.allocate<T>(total * width);
    communicator_->all_gather_rows<T>(mine, all, per_rank, width);
    return all;
  }

  comm::Communicator* communicator_ = nullptr;
  index_t total_tiles_ = 0;
  index_t total_rows_ = 0;
  index_t local_samples_ = 0;
  index_t total_samples_ = 0;
  index_t first_row_ = 0;
  Vector<index_t> begin_ = {0};
  std::vector<index_t> tiles_per_rank_;
  std::vector<index_t> rows_per_rank_;
};

}  // namespace switchyard::nn
