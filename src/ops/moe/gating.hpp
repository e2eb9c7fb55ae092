// From a gate's scores to the weights of the chosen experts, and back.
//
// A sample has K slots; slot i of sample n holds expert experts[n, i]. With a dense gate K = E and slot i holds
// expert i.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Which noise a sample gets: a pure function of this and of the sample's id, whatever the layout.
struct NoiseKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;    // at most 2^32 - 1
  std::uint32_t stream = 0;  // below 4: the split
};

// How it is spread: uniform in [0, scale), or normal with mean 0 and standard deviation scale.
enum class NoiseSpread { uniform, normal };
struct Noise {
  NoiseSpread spread = NoiseSpread::uniform;
  float scale = 1;
  NoiseKey key = {};
};

// noisy = logits + r, a number of its own for each of the N samples and E experts. ids: [N], below 2^40; E at
// most 2^22.
void add_noise(device::Context&, tensor::ConstMatrix logits, Span<const index_t> ids, const Noise& noise,
               tensor::Matrix noisy);

// y = log(1 / (1 + e^-x)), whose softmax is a sigmoid's share of the sigmoids, and which keeps its digits where
// they are nearly 0 or 1. y and x may be the same place.
void log_sigmoid(device::Context&, tensor::ConstMatrix x, tensor::Matrix y);
// d *= 1 / (1 + e^x): from the gradient by y to that by x.
void log_sigmoid_backward(device::Context&, tensor::ConstMatrix x, tensor::Matrix d);

// What the e^z of a sample's slots are divided by to be weights.
enum class WeightSum {
  usual,    // slots where there are several; experts where there is one, so that the gate still learns
  slots,    // their sum over the sample's slots
  experts,  // their sum over all E: weights are probabilities
  one,      // nothing: scores are logarithms of weights
};

// By the sum over all E, the one slot's entropies are those of the softmax over all, in bits.
struct SlotWeights {
  tensor::Matrix weights;       // [N, K]
  tensor::Matrix log_weights;   // [N, K]
  Span<double> entropies = {};  // [N]; empty: not wanted
  bool by_largest = false;      // the one slot has the largest score: top_k() of the same scores
  WeightSum sum = WeightSum::usual;
};
void gate_weights(device::Context&, tensor::ConstMatrix scores, const std::int32_t* experts,
                  const SlotWeights& of_slots);

// y = factor * x
void scale(device::Context&, tensor::ConstMatrix x, float factor, tensor::Matrix y);
// y[n, i] = x[n, i] / sum_j x[n, j]; 0 where that sum is 0.
void shares(device::Context&, tensor::ConstMatrix x, tensor::Matrix y);

// One of several answers alone: log_weights[n, i] = 0 for the largest of values[n], ties to the lower slot, and
// -infinity for the others.
void choose_one(device::Context&, tensor::ConstMatrix values, tensor::Matrix log_weights);

// The certainty of distributions, for a gate without a network ("the most certain expert", reference V7): -H_2
// of each of the [N * K] rows of C log-probabilities, in bits; [N, K].
void certainties(device::Context&, const tensor::RowSource& log_probs, tensor::Matrix values);

// values[n, i] = scores[n, experts[n, i]]
void gather_scores(device::Context&, tensor::ConstMatrix scores, const std::int32_t* experts, index_t slots,
                   tensor::Matrix values);

// What multiplies an expert's output, and so what its gradient is by.
enum class GateMeasure {
  weight,  // the weight, or a multiple of it; d_slots is by its logarithm
  score,   // the score itself; d_slots is by it
};

struct GateGradient {
  tensor::ConstMatrix scores;             // [N, E], those that the weights are of
  const std::int32_t* experts = nullptr;  // [N, K]
  tensor::ConstMatrix weights;            // [N, K]
  tensor::ConstMatrix log_weights;        // [N, K]
  WeightSum sum = WeightSum::usual;       // of the weights
  GateMeasure measure = GateMeasure::weight;
  tensor::ConstMatrix d_slots;  // [N, K]
  // g_e = dR/dw_e of a regulariser R of the weights' sums over the batch: the same for every sample. Empty:
  // none.
  Span<const double> importance = {};
  // c_e = dR/dp_e of a regulariser R of the sums of the full softmax p over all E. Empty: none.
  Span<const double> probability = {};
  // v_e, [N, E]: *sample_scale * v_e is added to c_e of that sample: of an R that differs from sample to
  // sample. No data: none. The factor lies in the memory of the context, as the batch's sums make it there.
  tensor::ConstMatrix sample_probability = {};
  const double* sample_scale = nullptr;
  // Weights of regularisers of each sample's own scores, divided by the samples of the global batch: of the
  // squared log sum of e^z, and of the entropy of the full softmax in nats.
  float z_loss = 0;
  float entropy = 0;
};
// d_scores: [N, E], written in full. With l_i = d_slots_i (by log w) + w_i g_i:
//   sum over slots:   d z_i = l_i - w_i sum_j l_j for the experts in slots, 0 for all others
//   sum over experts: d z_j = l_j - p_j sum_i l_i over all E, l_j = 0 for those in no slot
//   no sum:           d z_i = l_i for the experts in slots, 0 for all others
// plus d_slots of the chosen experts if the score itself is the measure, plus p_j (c_j - sum_e p_e c_e), plus
// p_j (2 z_loss L - entropy (log p_j + H)) with L = log sum_e e^z_e and H = -sum_e p_e log p_e.
void gate_backward(device::Context&, const GateGradient&, tensor::Matrix d_scores);

// Of each row of scores: L^2 (empty: not wanted) and H as above, in nats, times `unit`.
void score_statistics(device::Context&, tensor::ConstMatrix scores, Span<double> squared_log_sums,
                      Span<double> entropies, double unit = 1);

// entropies[n] = -sum_i w_{n,i} log2 w_{n,i} in float64, with 0 log 0 = 0.
void entropy_rows(device::Context&, tensor::ConstMatrix weights, Span<double> entropies);

}  // namespace switchyard::ops
