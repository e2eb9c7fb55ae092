// The original mixture of experts: the gate's weights, the likelihood of the mixture, and their gradients.
//
//   L = -(1/B) sum_n log sum_i w_{n,i} y_{n,i,t_n}    over the K slots of sample n
// (Jacobs, Jordan, Nowlan and Hinton 1991, for a categorical likelihood). y are the experts' class
// probabilities, t the label; everything is taken in logarithms. A slot holds the expert that experts[n, slot]
// names; with a dense gate K = E and slot i holds expert i.
#pragma once

#include <cstdint>
#include <span>

#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Views of the N samples on this rank.
struct MixtureBatch {
  tensor::ConstMatrix gate_logits;          // [N, E], finite
  const std::int32_t* experts = nullptr;    // [N, K], different within a sample
  index_t slots = 0;                        // K
  const float* const* log_probs = nullptr;  // [N * K] rows of C log-probabilities, where they lie
  const std::int32_t* labels = nullptr;     // [N], in [0, C)
  index_t classes = 0;                      // C
};

// Writes weights and log_weights, [N, K] each. K >= 2, or E = 1: softmax over the logits of the sample's slots.
// K = 1 < E: the chosen expert's probability under the softmax over all E, so that the gate still learns.
void gate_weights(device::Context&, tensor::ConstMatrix gate_logits, const std::int32_t* experts, index_t slots,
                  tensor::Matrix weights, tensor::Matrix log_weights);

struct MixtureOutput {
  std::span<float> losses;    // [N], -log sum_i w_i y_{i,t}; not finite if no slot gives the label a chance
  tensor::Matrix posteriors;  // [N, K], h_i = w_i y_{i,t} / sum_j w_j y_{j,t}
  std::span<std::int32_t> predicted;  // [N], argmax_c sum_i w_i y_{i,c}, ties to the lower class
  tensor::Matrix probabilities = {};  // [N, C], sum_i w_i y_{i,c}; not written if it has no data
};
void mixture_forward(device::Context&, const MixtureBatch&, tensor::ConstMatrix log_weights,
                     const MixtureOutput&);

struct MixtureGradient {
  float* const* d_log_probs = nullptr;  // [N * K] rows of C, each written in full
  tensor::Matrix d_logits;              // [N, E], written in full
};
// `scale` is 1 / B, of the global batch. importance_gradient holds g_e = dR/dw_e of a regulariser R that
// depends on the weights' sums over the batch, so that it is the same for every sample (not multiplied by
// scale); empty if none.
//   d log y_{i,t} = -scale h_i
//   K >= 2:    d z_i = scale (w_i - h_i) + w_i (g_i - sum_j w_j g_j) for the experts in slots, 0 for all others
//   K = 1 < E: d z_j = (scale - g_e w_e) (p_j - [j = e]) over all E, e the chosen expert, p the softmax
void mixture_backward(device::Context&, const MixtureBatch&, tensor::ConstMatrix weights,
                      tensor::ConstMatrix posteriors, float scale, std::span<const double> importance_gradient,
                      const MixtureGradient&);

// entropies[n] = -sum_i w_{n,i} log2 w_{n,i} in float64, with 0 log 0 = 0.
void entropy_rows(device::Context&, tensor::ConstMatrix weights, std::span<double> entropies);

}  // namespace switchyard::ops
