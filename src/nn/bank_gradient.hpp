// The gradient of a network whose sets of weights have their rows on this rank: of the experts that it hosts.
#pragma once

#include <vector>

#include "base/span.hpp"
#include "nn/network.hpp"
#include "nn/parameter_slice.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

// Lies as the network's values do, so that an update is one pass over both. The owner computes the whole
// gradient of a set over the set's rows in global order: no sum crosses ranks. A frozen network has none: no
// slices and no memory.
class BankGradient {
 public:
  explicit BankGradient(Network& network);

  // Written, or added for a later part of the batch: from the partials of all tiles, [local tiles,
  // partial_width], and from what backward left in the record. Local; on a CPU spread over the pool by set and
  // block.
  void compute(const Pass& pass, Span<const float> partials, const NetworkRecord& record);
  // By set, and of a set in the order of its parameters; norm_entry counts from the set's first.
  std::vector<ParameterSlice> slices(index_t set);

 private:
  struct Block {  // of a whole-rows parameter
    index_t layer;
    IndexRange rows;
  };
  // Where the gradient of what lies at `value` is.
  float* beside(const float* value) { return gradients_.data() + (value - network_->values().data()); }
  // All blocks of all sets, for a GPU.
  void compute_whole(const Pass& pass, const NetworkRecord& record);
  void compute_block(const Pass& pass, index_t set, const Block& block, const NetworkRecord& record);

  Network* network_;
  device::Buffer<float> gradients_;
  Vector<Block> blocks_;                      // of every set
  Vector<index_t> whole_;                     // layers that have them
  Vector<ops::SetRows> set_rows_;             // of a step, without padding
  device::Buffer<ops::PartialPiece> pieces_;  // of all per-tile parameters of a set
};

}  // namespace switchyard::nn
