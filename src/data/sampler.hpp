// In which order the training samples are visited.
#pragma once

#include <cstdint>

#include "data/permutation.hpp"

namespace switchyard::data {

// Each epoch visits every training sample once, in an order of its own. The order is a pure function of (seed,
// epoch, position): a resumed run, or a run on other ranks, continues it from a position alone. Nothing to
// save, O(1) memory.
class Sampler {
 public:
  Sampler(std::uint64_t seed, index_t samples) : order_(samples, seed, RandomUse::sampler) {}

  // Samples in an epoch.
  index_t samples() const { return order_.size(); }

  // The training sample at `position` of `epoch`; 0 <= position < samples(), 0 <= epoch < 2^32.
  index_t sample_at(index_t epoch, index_t position) const { return order_.at(epoch, position); }

 private:
  Permutation order_;
};

}  // namespace switchyard::data
