// Which samples of an epoch's order a step works on, and where in which epoch it is. Pure functions; nothing
// here touches samples. (How ranks share a batch: nn/batch_tiles.hpp.)
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
  index_t steps(index_t epochs) const { return epochs * batches_per_epoch(); }
  // The places [begin, end) of that batch in the epoch's order: 1 to batch_size of them. Contract: 0 <= batch <
  // batches_per_epoch().
  IndexRange places_of(index_t batch) const;

  // Of a step (steps count from 0 through all epochs), which is also where a run of `step` finished steps is.
  Position position_of(index_t step) const;
  bool ends_epoch(index_t finished_steps) const { return position_of(finished_steps).batch == 0; }
  // That of the last finished step, counted from 1 as people do.
  index_t epoch_number(index_t finished_steps) const { return position_of(finished_steps - 1).epoch + 1; }
};

}  // namespace switchyard::data
