// Root mean square norm (Zhang and Sennrich 2019) of rows.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// y_j = weight_j x_j r with r = 1 / sqrt(mean_j x_j^2 + epsilon), which is left in inverse_rms: [rows].
void rms_norm(device::Context&, tensor::ConstMatrix x, Span<const float> weight, float epsilon,
              tensor::Matrix y, Span<float> inverse_rms);

// d_x_j = r (weight_j d_y_j - x_j r^2 mean_i(weight_i d_y_i x_i)). May overwrite d_y.
void rms_norm_backward(device::Context&, tensor::ConstMatrix x, Span<const float> weight,
                       Span<const float> inverse_rms, tensor::ConstMatrix d_y, tensor::Matrix d_x);
// Of each of a run of tiles: d_weight_j = sum over its rows of d_y_j x_j r, rows in order, accumulated in
// float64. [cols] each, `stride` apart.
void rms_norm_weight_gradient(device::Context&, TileView tiles, tensor::ConstMatrix x,
                              Span<const float> inverse_rms, tensor::ConstMatrix d_y, float* d_weight,
                              index_t stride);

}  // namespace switchyard::ops
