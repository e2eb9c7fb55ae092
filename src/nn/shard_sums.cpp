#include "nn/shard_sums.hpp"

#include <algorithm>

#include "ops/reduce.hpp"

namespace switchyard::nn {

ShardSums::ShardSums(const Pass& pass, index_t width)
    : width_(width), mine_(pass.workspace().allocate<double>(pass.tiles().local_count() * width)) {
  std::ranges::fill(mine_, 0.0);
}

Span<double> ShardSums::join(const Pass& pass) const {
  device::Workspace& workspace = pass.workspace();
  const BatchTiles& tiles = pass.tiles();
  const Span<const double> all = tiles.gather_tiles(pass.context, mine_, width_);
  const Span<double> column = workspace.allocate<double>(tiles.total_count());
  const Span<double> sums = workspace.allocate<double>(width_);
  for (index_t c = 0; c < width_; ++c) {
    for (index_t tile = 0; tile < tiles.total_count(); ++tile) column[tile] = all[tile * width_ + c];
    sums[c] = ops::sum_tree(column);
  }
  return sums;
}

}  // namespace switchyard::nn
