// The gate: a network that scores the experts, and the choice that follows from the scores.
#pragma once

#include <cstdint>

#include "moe/routing.hpp"
#include "nn/network_gradient.hpp"

namespace switchyard::moe {

// Replicated on every rank; each computes its own shards. Batch statistics and gradients are those of the
// global batch.
class Gate {
 public:
  // top_k = 0 is dense. ranks and rank say which blocks of the large matrices this rank updates.
  Gate(const nn::NetworkShape& shape, index_t experts, index_t top_k, const nn::NetworkOptions& options,
       int ranks, int rank, std::uint64_t seed);

  nn::Network& network() { return network_; }
  nn::NetworkGradient& gradient() { return gradient_; }
  index_t slots() const { return slots_; }

  // Scores this rank's samples and chooses. Collective if the network has batch norm. A NaN score is never
  // chosen over a number; it shows in the loss, which all ranks see.
  Routing route(device::Context& context, const nn::BatchTiles& tiles, tensor::ConstMatrix samples,
                nn::Mode mode);
  // [N, E], to be filled before backward.
  tensor::Matrix begin_backward(device::Context& context, const nn::BatchTiles& tiles);
  void backward(device::Context& context, const nn::BatchTiles& tiles);
  // Sums over the global batch. Collective.
  void reduce_gradients(device::Context& context, const nn::BatchTiles& tiles);

 private:
  nn::Network network_;
  nn::NetworkGradient gradient_;
  index_t slots_;
  bool dense_;
  nn::NetworkRecord record_;
  std::span<float> partials_;
};

}  // namespace switchyard::moe
