// What the fused passes behind a convolution share: a batch norm, what pooling leaves, and the gradient of that
// (ops/fused_conv.hpp, ops/norm_pool.hpp).
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// y = scale_c * z + shift_c per channel; null, both or none: 1 and 0.
struct Affine {
  const float* scale = nullptr;
  const float* shift = nullptr;
};

// out: [rows, out_features]. argmax_place: a byte for each result; 0..3 is the place in the window (the first
// on ties).
struct PooledResult {
  tensor::Matrix out;
  std::uint8_t* argmax_place = nullptr;
};

// What forward left, and the gradient of its result.
struct PooledGradient {
  tensor::ConstMatrix out;
  const std::uint8_t* argmax_place = nullptr;
  tensor::ConstMatrix d_out;
};

// Batch norm: y = gamma * xhat + beta, xhat = (z - mean) * inv_std; mean and inv_std of the whole batch.
struct NormView {
  const double* mean = nullptr;  // [channels]
  const double* inv_std = nullptr;
  const float* gamma = nullptr;
  // [channels], for the second pass of backward: over all places of the whole batch.
  Span<const double> mean_dy = {};
  Span<const double> mean_dy_xhat = {};
};

}  // namespace switchyard::ops
