// How much a mixture layer moves between ranks.
#pragma once

#include "moe/layer.hpp"
#include "moe/placement.hpp"

namespace switchyard::moe {

// For one row of the layer in a training step, on average. Rows are as wide as the layer's inputs on their way
// to experts and as what experts return on the way back; nothing else is in it (counts, and two integers a
// slot).
struct Traffic {
  struct Direction {
    double rows = 0, floats = 0;
  };
  Direction dispatch = {}, combine = {};                    // forward
  Direction combine_backward = {}, dispatch_backward = {};  // their mirrors

  Direction all() const;
};

// Were each expert alone on a rank, and none on that of the row.
Traffic traffic_of_all_slots(const LayerOptions& options);
// Over the ranks of the placement, where each has as many rows and each expert is chosen as often: R ranks keep
// a slot in R. A row goes to a rank once, however many of its experts are there.
Traffic traffic(const LayerOptions& options, const Placement& placement);

// Of a row whose `slots` experts are any of all: that one of `hosted` is among them.
double chance_of_any(index_t hosted, index_t slots, index_t experts);

}  // namespace switchyard::moe
