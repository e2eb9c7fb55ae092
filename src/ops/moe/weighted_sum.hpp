// Losses of the gate-weighted sum of the chosen experts' outputs, F = sum_i w_i f_i, and their gradients by F;
// from there combine_backward (ops/moe/combine.hpp) goes on. The sum is formed where the loss is: it is a few
// numbers wide, and classes need it only there.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

enum class SumLoss {
  cross_entropy,  // -log softmax(F)_t
  logistic,       // log(1 + exp(-y F)), one output, y = -1 for class 0 and +1 for class 1
  // -log softmax(softmax(F))_t: what the published code of Chen et al. 2022 computes, whose floor is
  // log(1 + (C - 1) / e). For reproduction only.
  double_softmax,
  squared_error,  // mean over the outputs of (F - d)^2, d real numbers
};

// Views of the N samples on this rank.
struct WeightedSumBatch {
  SumLoss loss = SumLoss::cross_entropy;
  index_t slots = 0;            // K
  index_t outputs = 0;          // of an expert: 1 for logistic, else the classes, or the targets
  tensor::RowSource rows;       // [N * K, outputs]
  tensor::ConstMatrix weights;  // [N, K], what multiplies them
  const std::int32_t* labels = nullptr;
  tensor::ConstMatrix targets = {};  // [N, outputs], of squared_error, in place of labels
};

struct WeightedSumOutput {
  Span<float> losses;            // [N]
  Span<std::int32_t> predicted;  // [N]; argmax F, ties to the lower class; logistic: F > 0. Not of targets
  tensor::Matrix d_sum;          // [N, outputs], the gradient of a sample's own loss by F
  tensor::Matrix sum = {};       // [N, outputs], F, of squared_error alone
};
void weighted_sum_forward(device::Context&, const WeightedSumBatch&, const WeightedSumOutput&);

}  // namespace switchyard::ops
