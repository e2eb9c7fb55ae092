// Steps that several kinds of routers share.
#pragma once

#include "moe/router.hpp"

namespace switchyard::moe {

// N samples of K slots: the experts, the weights and their logarithms are the caller's to write; scores have no
// columns.
Routing allocate_routing(const nn::Pass& pass, const RouterOptions& options);
// Slot i holds expert i.
void take_all(device::Context& context, Routing& routing);
// What weights are divided by, and room for what weigh_by_scores adds: factors that are no weights, and
// entropies.
void allocate_weights(const nn::Pass& pass, const Options& options, Routing& routing);
// The weights of the chosen experts by routing.scores, and their factors.
void weigh_by_scores(device::Context& context, const Options& options, const Routing& routing);

// d_scores [N, E], written in full: of what is trained by gradients.slots, and of the regularisers. By the
// logits, if scores are of them.
void backward_to_scores(const nn::Pass& pass, const Routing& routing, ops::GateMeasure measure,
                        tensor::ConstMatrix d_slots, const RegulariserGradients& regularisers,
                        tensor::Matrix d_scores);

}  // namespace switchyard::moe
