#include "nn/batch_tiles.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/transfer.hpp"

namespace switchyard::nn {

void BatchTiles::set_sharded(comm::DataPlane& data_plane, index_t batch_size, index_t shards,
                             index_t rows_per_sample) {
  data_plane_ = &data_plane;
  total_tiles_ = shards;
  total_rows_ = batch_size * rows_per_sample;
  const SharedParts batch{batch_size, shards, data_plane.size()};
  tiles_per_rank_.clear();
  rows_per_rank_.clear();
  for (index_t rank = 0; rank < batch.owners; ++rank) {
    tiles_per_rank_.push_back(batch.parts_of(rank).size());
    rows_per_rank_.push_back(batch.range_of(rank).size() * rows_per_sample);
  }
  const IndexRange mine = batch.parts_of(data_plane.rank().index());
  first_row_ = partition_begin(batch_size, shards, mine.begin) * rows_per_sample;
  begin_.clear();
  for (index_t shard = mine.begin; shard <= mine.end; ++shard) {
    begin_.push_back(partition_begin(batch_size, shards, shard) * rows_per_sample - first_row_);
  }
  set_of_tile_.clear();
  // Not by `=`, which would make a vector and take its memory.
  first_tile_.assign({0, shards});
  first_row_of_.assign({0, local_rows()});
  sample_end_.assign({local_rows()});
  total_samples_.assign({total_rows_});
  list_tiles();
}

void BatchTiles::set_finer(const BatchTiles& other, index_t times) {
  SY_EXPECTS(other.set_of_tile_.empty(), "rows of {} sets", other.set_count());
  *this = other;
  for (auto* rows : {&begin_, &first_row_of_, &sample_end_, &total_samples_}) {
    for (index_t& count : *rows) count *= times;
  }
  for (index_t& count : rows_per_rank_) count *= times;
  total_rows_ *= times;
  first_row_ *= times;
  list_tiles();
}

void BatchTiles::set_local(Span<const index_t> rows, Span<const index_t> samples, index_t tile_rows) {
  SY_EXPECTS(rows.size() == samples.size(), "rows of {} sets, samples of {}", rows.size(), samples.size());
  data_plane_ = nullptr;
  rows_per_rank_.clear();
  first_row_ = 0;
  total_samples_.assign(samples.begin(), samples.end());
  for (auto* values : {&begin_, &set_of_tile_, &first_tile_, &first_row_of_, &sample_end_}) values->clear();
  index_t first = 0;
  for (std::size_t set = 0; set < rows.size(); ++set) {
    SY_EXPECTS(samples[set] <= rows[set], "{} samples in {} rows", samples[set], rows[set]);
    first_tile_.push_back(std::ssize(begin_));
    first_row_of_.push_back(first);
    sample_end_.push_back(first + samples[set]);
    const index_t end = first + rows[set];
    for (; first < end; first = std::min(first + tile_rows, end)) {
      begin_.push_back(first);
      set_of_tile_.push_back(static_cast<index_t>(set));
    }
  }
  first_tile_.push_back(std::ssize(begin_));
  first_row_of_.push_back(first);
  begin_.push_back(first);
  total_rows_ = first;
  total_tiles_ = local_count();
  list_tiles();
}

void BatchTiles::list_tiles() {
  placed_tiles_ = nullptr;
  placed_sets_ = nullptr;
  placed_set_tiles_ = nullptr;
  most_tile_rows_ = 0;
  for (index_t tile = 0; tile < local_count(); ++tile)
    most_tile_rows_ = std::max(most_tile_rows_, rows(tile).size());
  tiles_.clear();
  for (index_t tile = 0; tile < local_count(); ++tile) {
    const IndexRange all = rows(tile);
    tiles_.push_back({static_cast<std::int32_t>(all.begin), static_cast<std::int32_t>(all.size()),
                      static_cast<std::int32_t>(samples(tile).size()), static_cast<std::int32_t>(set(tile))});
  }
  most_tiles_of_set_ = 0;
  sets_.clear();
  set_tiles_.clear();
  set_of_granule_.clear();
  for (index_t set = 0; set < set_count(); ++set) {
    const IndexRange of_set = rows_of(set);
    sets_.push_back({set, of_set});
    const IndexRange tiles = tiles_of(set);
    most_tiles_of_set_ = std::max(most_tiles_of_set_, tiles.size());
    set_tiles_.push_back({static_cast<std::int32_t>(tiles.begin), static_cast<std::int32_t>(tiles.end),
                          static_cast<std::int64_t>(total_samples(set))});
    if (set_of_tile_.empty()) continue;
    const index_t granules = (of_set.size() + ops::granule_rows - 1) / ops::granule_rows;
    set_of_granule_.insert(set_of_granule_.end(), as_size(granules), static_cast<std::int32_t>(set));
  }
}

void BatchTiles::place(device::Context& context) {
  if (context.memory() != device::MemoryKind::device) return;
  const auto placed = [&]<class T>(const Vector<T>& values) -> const T* {
    if (values.empty()) return nullptr;
    const Span<T> host = context.host_workspace().allocate<T>(std::ssize(values));
    std::ranges::copy(values, host.begin());
    return device::place(context, host).data();
  };
  placed_tiles_ = placed(tiles_);
  placed_sets_ = placed(set_of_granule_);
  placed_set_tiles_ = placed(set_tiles_);
}

ProductRows BatchTiles::gather_rows(device::Context& context, const ProductRows& mine) const {
  SY_EXPECTS(mine.rows == local_rows(), "gather_rows needs {} rows, got {}", local_rows(), mine.rows);
  const index_t count = mine.rows * mine.cols;
  ProductRows all{mine.in_bf16, nullptr, nullptr, total_rows_, mine.cols};
  if (mine.in_bf16) {
    all.bf16 =
        gather(context, Span<const ops::bfloat16>(mine.bf16, count), rows_per_rank_, total_rows_, mine.cols)
            .data();
  } else {
    all.f32 =
        gather(context, Span<const float>(mine.f32, count), rows_per_rank_, total_rows_, mine.cols).data();
  }
  return all;
}

}  // namespace switchyard::nn
