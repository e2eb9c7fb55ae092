// The numbers of a training step that its kernels read.
#pragma once

#include <cstdint>

#include "base/ids.hpp"

namespace switchyard::ops {

// In the memory of a context, and read through a pointer: so no argument of a kernel changes from step to step,
// and the host need not know what ranks agree on before it launches the update.
struct StepScalars {
  // Of a group of parameters that are updated alike. What is a quotient is rounded once, from float64.
  struct Rates {
    float rate;             // the learning rate
    float corrected_rate;   // rate / (1 - b1^t), Adam's
    float weight_decay;     // added to the gradient
    float decoupled_decay;  // rate * weight decay, AdamW's
  };
  static constexpr index_t most_groups = 8;

  // What the host knows: one copy.
  struct Given {
    Rates rates[most_groups] = {};  // by group
    float inverse_root_second = 1;  // 1 / sqrt(1 - b2^t)
    std::int32_t failed = 0;        // something went wrong on this rank before the agreement
    std::int32_t stop = 0;          // it was asked to stop
    std::int32_t time = 0;          // it sees that the time is over
  } given;

  // What ops::agree() leaves, alike on all ranks.
  struct Agreed {
    double gradient_norm = 0;     // of the whole model, before clipping
    float gradient_scale = 1;     // clipping
    std::int32_t is_finite = 1;   // else the update changes nothing
    std::int32_t has_failed = 0;  // a step before or this one was not: once set it stays
  } agreed;
};

}  // namespace switchyard::ops
