#include "nn/batch_tiles.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::nn {

void BatchTiles::set_sharded(comm::Communicator& communicator, index_t batch_size, index_t shards) {
  communicator_ = &communicator;
  total_tiles_ = shards;
  total_rows_ = batch_size;
  const SharedParts batch{batch_size, shards, communicator.size()};
  tiles_per_rank_.clear();
  rows_per_rank_.clear();
  for (index_t rank = 0; rank < batch.owners; ++rank) {
    tiles_per_rank_.push_back(batch.parts_of(rank).size());
    rows_per_rank_.push_back(batch.range_of(rank).size());
  }
  const IndexRange mine = batch.parts_of(communicator.rank().index());
  first_row_ = partition_begin(batch_size, shards, mine.begin);
  begin_.clear();
  for (index_t shard = mine.begin; shard <= mine.end; ++shard) {
    begin_.push_back(partition_begin(batch_size, shards, shard) - first_row_);
  }
  local_samples_ = local_rows();
  total_samples_ = batch_size;
}

void BatchTiles::set_local(index_t rows, index_t samples, index_t tile_rows) {
  SY_EXPECTS(samples <= rows, "{} samples in {} rows", samples, rows);
  communicator_ = nullptr;
  total_rows_ = rows;
  local_samples_ = samples;
  total_samples_ = samples;
  first_row_ = 0;
  begin_.clear();
  for (index_t first = 0; first < rows; first += tile_rows) begin_.push_back(first);
  begin_.push_back(rows);
  total_tiles_ = local_count();
}

ProductRows BatchTiles::gather_rows(device::Workspace& workspace, const ProductRows& mine) const {
  SY_EXPECTS(mine.rows == local_rows(), "gather_rows needs {} rows, got {}", local_rows(), mine.rows);
  const index_t count = mine.rows * mine.cols;
  ProductRows all{mine.in_bf16, nullptr, nullptr, total_rows_, mine.cols};
  if (mine.in_bf16) {
    all.bf16 =
        gather(workspace, Span<const ops::bfloat16>(mine.bf16, count), rows_per_rank_, total_rows_, mine.cols)
            .data();
  } else {
    all.f32 =
        gather(workspace, Span<const float>(mine.f32, count), rows_per_rank_, total_rows_, mine.cols).data();
  }
  return all;
}

}  // namespace switchyard::nn
