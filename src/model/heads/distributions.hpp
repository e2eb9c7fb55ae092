// What heads share that mix the experts' distributions.
#pragma once

#include "model/head.hpp"
#include "ops/moe/mixture.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {

inline tensor::Matrix allocate_slots(device::Workspace& workspace, const moe::Routing& routing) {
  return tensor::allocate_matrix(workspace, routing.samples, routing.slots);
}

// Power, temperature and who answers are the loss's own.
inline ops::MixtureBatch mixture_batch(const moe::LayerOutput& output, const nn::Batch& truth,
                                       index_t classes) {
  return {.samples = output.routing.samples,
          .slots = output.routing.slots,
          .log_probs = output.slot_rows(),
          .labels = truth.labels.data(),
          .classes = classes};
}

// Where one expert answers.
inline Span<const float> answer_losses(device::Context& context, const ops::MixtureBatch& batch,
                                       const moe::Routing& routing) {
  const Span<float> losses = context.workspace().allocate<float>(routing.samples);
  ops::answer_losses(context, batch, routing.log_weights, losses);
  return losses;
}

}  // namespace switchyard::model
