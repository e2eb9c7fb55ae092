#include "nn/shard_sums.hpp"

#include "device/copy.hpp"

namespace switchyard::nn {

ShardSums::ShardSums(const Pass& pass, index_t width)
    : width_(width), mine_(pass.workspace().allocate<double>(pass.tiles().local_count() * width)) {
  device::zero_on_device<double>(pass.context, mine_);
}

Span<double> ShardSums::join(const Pass& pass, Span<double> total) const {
  const Span<const double> all = pass.tiles().gather_tiles(pass.context, mine_, width_);
  const Span<double> sums = pass.workspace().allocate<double>(width_);
  ops::join_tile_sums(pass.context, all, sums, total);
  return sums;
}

}  // namespace switchyard::nn
