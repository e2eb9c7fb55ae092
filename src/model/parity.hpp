// Which sizes of a mixture layer cost as much as another layer.
#pragma once

#include "model/outline.hpp"

namespace switchyard::model {

// A mixture layer of the model; its feed-forward network, if it has none.
Costs layer_costs(const Outline& outline);

// What moe.hidden would be for as many forward multiply-adds, and moe.experts for as many parameters, each
// alone and as a real number: not finite where no such number is. Multi-head mixtures of Huang et al. (2024)
// are matched without routers, whose cost is small; `with_router` counts them on both sides.
struct Parity {
  double hidden = 0, hidden_with_router = 0;
  double experts = 0, experts_with_router = 0;
};
// Of the mixture layers of a transformer.
Parity parity(const ModelOptions& options, const Task& task, const Costs& with);

}  // namespace switchyard::model
