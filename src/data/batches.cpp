#include "data/batches.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::data {

index_t Batching::batches_per_epoch() const {
  SY_EXPECTS(samples >= 1 && batch_size >= 1, "{} samples in batches of {}", samples, batch_size);
  return (samples - 1) / batch_size + 1;
}

IndexRange Batching::places_of(index_t batch) const {
  const index_t batches = batches_per_epoch();
  SY_EXPECTS(batch >= 0 && batch < batches, "batch {} of an epoch of {}", batch, batches);
  const index_t begin = batch * batch_size;
  return {begin, begin + std::min(batch_size, samples - begin)};
}

index_t Batching::size_of(index_t batch) const { return places_of(batch).size(); }

Position Batching::position_of(index_t step) const {
  SY_EXPECTS(step >= 0, "step {}", step);
  const index_t batches = batches_per_epoch();
  return {step / batches, step % batches};
}

index_t Batching::step_of(Position position) const {
  return position.epoch * batches_per_epoch() + position.batch;
}

Position Batching::after(Position position) const { return position_of(step_of(position) + 1); }

ShardRange rank_shards(index_t shards, index_t ranks, index_t rank) {
  SY_EXPECTS(shards >= 1 && rank >= 0 && rank < ranks, "{} shards, rank {} of {}", shards, rank, ranks);
  return partition(shards, ranks, rank);
}

BatchRange shard_samples(index_t batch_samples, index_t shards, index_t shard) {
  return shard_run_samples(batch_samples, shards, {shard, shard + 1});
}

BatchRange shard_run_samples(index_t batch_samples, index_t shards, ShardRange run) {
  SY_EXPECTS(batch_samples >= 0 && run.begin >= 0 && run.begin <= run.end && run.end <= shards && shards >= 1,
             "shards [{}, {}) of {} in a batch of {} samples", run.begin, run.end, shards, batch_samples);
  return {partition_begin(batch_samples, shards, run.begin), partition_begin(batch_samples, shards, run.end)};
}

}  // namespace switchyard::data
