// Figures of a batch: float64 sums over its rows, the same bits on every layout.
#pragma once

#include "base/span.hpp"
#include "nn/pass.hpp"
#include "ops/tile_sums.hpp"

namespace switchyard::nn {

// A partial sum per shard, added by the fixed tree over shards. Memory of the step.
class ShardSums {
 public:
  // `width` sums of each of this rank's shards, zero.
  ShardSums(const Pass& pass, index_t width);

  // To add to, over rows that are cut into the same shards.
  ops::TileSums of(const BatchTiles& tiles) const { return {tiles.view(), mine_.data(), width_}; }
  // Over the global batch: [width]; adds them to total, too. Collective.
  Span<double> join(const Pass& pass, Span<double> total) const;

 private:
  index_t width_;
  Span<double> mine_;
};

}  // namespace switchyard::nn
