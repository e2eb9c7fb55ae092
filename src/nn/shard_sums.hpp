// Figures of a batch: float64 sums over its rows, the same bits on every layout.
#pragma once

#include "base/span.hpp"
#include "nn/pass.hpp"

namespace switchyard::nn {

// A partial sum per shard, added by the fixed tree over shards. Memory of the step.
class ShardSums {
 public:
  // `width` sums of each of this rank's shards, zero.
  ShardSums(const Pass& pass, index_t width);

  // Shards may be added to at the same time.
  Span<double> of(index_t shard) const { return mine_.subspan(shard * width_, width_); }
  // Over the global batch: [width]. Collective.
  Span<double> join(const Pass& pass) const;

 private:
  index_t width_;
  Span<double> mine_;
};

}  // namespace switchyard::nn
