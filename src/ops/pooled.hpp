// What the fused passes behind a convolution share: moments, a batch norm, what pooling leaves, and the
// gradient of that (ops/fused_conv.hpp, ops/norm_pool.hpp).
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/of_sets.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// count, mean and sum of squared deviations of the values of one channel, mergeable in a fixed order (Chan,
// Golub and LeVeque 1979).
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;
};

// m2 = m2_a + m2_b + delta^2 n_a n_b / n, mean = mean_a + delta n_b / n. An empty side changes nothing.
SY_HD inline Moments merge(const Moments& a, const Moments& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const double n = a.count + b.count;
  const double delta = b.mean - a.mean;
  return {n, a.mean + delta * (b.count / n), a.m2 + b.m2 + delta * delta * (a.count * b.count / n)};
}

// y = scale_c * z + shift_c per channel, of each set; null, both or none: 1 and 0.
struct Affine {
  OfSets<const float> scale, shift;
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

// Batch norm of each set: y = gamma * xhat + beta, xhat = (z - mean) * inv_std; mean and inv_std of the whole
// batch. [channels] of each; all null: there is none.
struct NormView {
  OfSets<const double> mean, inv_std;
  OfSets<const float> gamma;
  // For the second pass of backward: over all places of the whole batch.
  OfSets<const double> mean_dy, mean_dy_xhat;
};

}  // namespace switchyard::ops
