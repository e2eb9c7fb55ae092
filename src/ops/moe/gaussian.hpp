// The original mixture of experts for real numbers: the likelihood of a mixture of Gaussians of one deviation,
// each about an expert's output, and its gradients.
//
//   L = -(1/B) sum_n log sum_i w_{n,i} N(d_n; o_{n,i}, s^2 I)    over the K slots of sample n
//   N(d; o, s^2 I) = exp(-|d - o|^2 / (2 s^2)) / (s sqrt(2 pi))^T    of T numbers
// (Jacobs, Jordan, Nowlan and Hinton 1991, equation 1.3, with its constants and a deviation.)
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Views of the N samples on this rank.
struct GaussianBatch {
  index_t slots = 0;                // K
  tensor::RowSource rows;           // [N * K, T], o
  tensor::ConstMatrix log_weights;  // [N, K]
  tensor::ConstMatrix targets;      // [N, T], d
  float deviation = 1;              // s
};

struct GaussianOutput {
  Span<float> losses;         // [N], each sample's L
  tensor::Matrix posteriors;  // [N, K], h_i = w_i N_i / sum_j w_j N_j
  tensor::Matrix mean;  // [N, T], sum_i w_i o_i, the mixture's mean; of one slot its o, whatever its weight
};
void gaussian_forward(device::Context&, const GaussianBatch&, const GaussianOutput&);

struct GaussianGradient {
  tensor::RowTarget d_rows;      // [N * K, T], each written in full; no columns: not wanted
  tensor::Matrix d_log_weights;  // [N, K]
};
// `posteriors` are those of the forward pass, `scale` is 1 / B of the global batch: d log w_i = -scale h_i,
// d o_i = scale h_i (o_i - d) / s^2.
void gaussian_backward(device::Context&, const GaussianBatch&, tensor::ConstMatrix posteriors, float scale,
                       const GaussianGradient&);

}  // namespace switchyard::ops
