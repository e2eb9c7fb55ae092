// The original mixture of experts: the likelihood of the mixture, and its gradients.
//
//   L = -(1/B) sum_n log sum_i w_{n,i} y_{n,i,t_n}    over the K slots of sample n
// (Jacobs, Jordan, Nowlan and Hinton 1991, for a categorical likelihood). y are the experts' class
// probabilities, t the label; everything is taken in logarithms. The weights are those of ops/moe/gating.hpp.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Views of the N samples on this rank.
struct MixtureBatch {
  index_t samples = 0;                   // N
  index_t slots = 0;                     // K
  tensor::RowSource log_probs;           // [N * K, C] log-probabilities
  const std::int32_t* labels = nullptr;  // [N], in [0, C)
  index_t classes = 0;                   // C
  // 1: the likelihood. 1/2: the loss of competing experts, -log sum_i w_i exp(-CE_i / 2) (Jacobs et al. 1991,
  // for categories, as Krishnamurthy et al. 2023 code it; reference V2).
  float power = 1;
  // T: the experts' gradients are those of the mixture with weights softmax(z / T), the weights' own those of
  // softmax(z) ("dual temperature", reference V7).
  float expert_temperature = 1;
  // Who answers: the mixture, or the slot with the largest weight, ties to the lower slot.
  bool one_answers = false;

  // What the expert of slot `slot` says.
  SY_HD const float* slot(index_t sample, index_t slot) const { return log_probs.row(sample * slots + slot); }
};

struct MixtureOutput {
  Span<float> losses;  // [N], -log sum_i w_i y_{i,t}^power; not finite if no slot gives the label a chance
  tensor::Matrix posteriors;              // [N, K], h_i = w_i y_{i,t}^power / sum_j w_j y_{j,t}^power
  Span<std::int32_t> predicted;           // [N], the argmax over c of sum_i w_i y_{i,c}, or of the one that
                                          // answers; ties to the lower class
  tensor::Matrix probabilities = {};      // [N, C], sum_i w_i y_{i,c}; not written if it has no data
  tensor::Matrix expert_posteriors = {};  // [N, K], h_i with w_i^(1/T) for w_i; written only if T is not 1
};
void mixture_forward(device::Context&, const MixtureBatch&, tensor::ConstMatrix log_weights,
                     const MixtureOutput&);

// losses[n] = -log y_{i,t}, i the slot with the largest log weight, ties to the lower: the negative log
// likelihood of the labels where one slot answers. Reads samples, slots, log_probs and labels of the batch.
void answer_losses(device::Context&, const MixtureBatch&, tensor::ConstMatrix log_weights, Span<float> losses);

struct MixtureGradient {
  tensor::RowTarget d_log_probs;  // [N * K, C], each written in full; no columns: not wanted
  tensor::Matrix d_log_weights;   // [N, K]
};
// What mixture_forward found, [N, K] each.
struct Posteriors {
  tensor::ConstMatrix of_weights;
  tensor::ConstMatrix of_experts;
};
// `scale` is 1 / B, of the global batch. d log w_i = -scale h_i, d log y_{i,t} = -scale power h_i, the latter
// with the experts' own posteriors.
void mixture_backward(device::Context&, const MixtureBatch&, const Posteriors&, float scale,
                      const MixtureGradient&);

// The gate as a regression (reference V7, "loss gate"): its scores predict log y_{i,t} of every expert.
// losses[n] += sum_i |z_{n,i} - log y_{n,i,t}|.
void add_prediction_errors(device::Context&, const MixtureBatch&, tensor::ConstMatrix scores,
                           Span<float> losses);
// d_scores[n, i] = scale times the sign of that difference, or 0.
void prediction_error_backward(device::Context&, const MixtureBatch&, tensor::ConstMatrix scores, float scale,
                               tensor::Matrix d_scores);

}  // namespace switchyard::ops
