// Rows of one length: what a cosine is made of.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// That length: base * e^log, or base where there is no log.
struct RowLength {
  float base = 1;
  const float* log = nullptr;
};

// y_j = length x_j r with r = 1 / sqrt(sum_j x_j^2 + 1e-6), which is left in inverse_norms: [rows]. What is
// added keeps the gradient of a short row finite, and is below float32's rounding for one of length 3.
void unit_rows(device::Context&, tensor::ConstMatrix x, const RowLength& length, tensor::Matrix y,
               Span<float> inverse_norms);

// From d_y, the gradient by y, to that by x, in its place: r (length d_y_j - y_j a / length) with a = sum_j y_j
// d_y_j, which is the row's gradient by the logarithm of length. along: [rows], gets a; empty: not wanted.
void unit_rows_backward(device::Context&, tensor::ConstMatrix y, const RowLength& length,
                        Span<const float> inverse_norms, tensor::Matrix d, Span<float> along = {});

// The same of each tile of a run, from d[t], [y.rows, y.cols], `stride` apart; and sums[t * stride] = the sum
// of its `along` over the rows of y, in float64. along: [tiles, y.rows].
struct TileUnitRows {
  tensor::ConstMatrix y;
  RowLength length;
  const float* inverse_norms = nullptr;
  float* d = nullptr;
  index_t stride = 0;
  float* sums = nullptr;
};
void tile_unit_rows_backward(device::Context&, index_t tiles, const TileUnitRows& of, Span<float> along);

}  // namespace switchyard::ops
