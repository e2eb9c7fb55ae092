// Where the gate sends each sample.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/view.hpp"

namespace switchyard::moe {

// N samples with K slots each. Dense gating is K = E with slot i = expert i; top-k slots are ordered by falling
// logit, ties to the lower expert. All memory is the step's workspace.
struct Routing {
  tensor::ConstMatrix logits;       // [N, E]
  std::span<std::int32_t> experts;  // [N, K] global expert ids
  tensor::Matrix weights;           // [N, K] gate weights
  tensor::Matrix log_weights;       // [N, K]
  index_t samples = 0;
  index_t slots = 0;
};

}  // namespace switchyard::moe
