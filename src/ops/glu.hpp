// Gated linear units (Shazeer 2020): a product of two halves of a row, one of them through SiLU.
#pragma once

#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// y_i = silu(x_i) x_{H+i} with silu(g) = g / (1 + e^-g). x: [rows, 2 H], y: [rows, H].
void swiglu(device::Context&, tensor::ConstMatrix x, tensor::Matrix y);
// d_x_i = d_y_i x_{H+i} s (1 + x_i (1 - s)) with s = 1 / (1 + e^-x_i), d_x_{H+i} = d_y_i silu(x_i).
void swiglu_backward(device::Context&, tensor::ConstMatrix x, tensor::ConstMatrix d_y, tensor::Matrix d_x);

}  // namespace switchyard::ops
