// Which samples of an epoch's order a step, a shard and a rank work on. Pure functions; nothing here touches
// samples.
//
// An epoch's order is cut into global batches, a global batch into shards (train.shards of them, whatever the
// rank count), and ranks take contiguous runs of shards. Sums are formed per shard and added in shard order,
// which is what makes results independent of the layout.
#pragma once

#include "base/partition.hpp"

namespace switchyard::data {

// Where a run stands: the batch that comes next. A run begins at {0, 0}.
struct Position {
  index_t epoch = 0;
  index_t batch = 0;  // in the epoch

  constexpr bool operator==(const Position&) const = default;
};

// How an epoch is cut into global batches. samples >= 1, batch_size >= 1.
struct Batching {
  index_t samples = 0;     // in an epoch
  index_t batch_size = 0;  // of every batch but the last of an epoch, which holds what is left

  index_t batches_per_epoch() const;
  // B: the samples in that batch, 1 to batch_size. Contract: 0 <= batch < batches_per_epoch().
  index_t size_of(index_t batch) const;
  // The places [begin, end) of that batch in the epoch's order.
  IndexRange places_of(index_t batch) const;

  // The position of a step (steps count from 0 through all epochs), its inverse, and the position that follows.
  Position position_of(index_t step) const;
  index_t step_of(Position position) const;
  Position after(Position position) const;
};

// A range of shards, and a range of positions in a global batch.
using ShardRange = IndexRange;
using BatchRange = IndexRange;

// The shards of rank r of R: [floor(r S / R), floor((r + 1) S / R)). Empty for some ranks where R > S.
ShardRange rank_shards(index_t shards, index_t ranks, index_t rank);
// The positions of shard s in a batch of B samples: [floor(s B / S), floor((s + 1) B / S)). Empty for some
// where S > B.
BatchRange shard_samples(index_t batch_samples, index_t shards, index_t shard);
// The positions of a run of shards in a batch of B samples: what a rank works on.
BatchRange shard_run_samples(index_t batch_samples, index_t shards, ShardRange run);

}  // namespace switchyard::data
