// Operations on rows: softmax, top-k, gathers, column sums. All are single-source kernels (kernels/rows.hpp).
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// p = softmax(logits) per row. In and out may be the same place.
void softmax(device::Context&, tensor::ConstMatrix logits, tensor::Matrix p);
// y = log softmax(logits) per row.
void log_softmax(device::Context&, tensor::ConstMatrix logits, tensor::Matrix y);
// d_logits = d_y - exp(y) * sum(d_y), per row; y is the output of log_softmax. May be in place.
void log_softmax_backward(device::Context&, tensor::ConstMatrix y, tensor::ConstMatrix d_y,
                          tensor::Matrix d_logits);

// The k largest of each row, largest first, ties to the lower column. experts: [rows, k]. NaN, -infinity and
// the lowest finite number count as equal and smallest, so the answer is the same everywhere; a caller to whom
// a NaN logit is an error asks all_finite.
void top_k(device::Context&, tensor::ConstMatrix logits, index_t k, std::int32_t* experts);

// y[r, c] = max(x[r, c], 0)
void relu(device::Context&, tensor::ConstMatrix x, tensor::Matrix y);
// d_x[r, c] = d_y[r, c], 0 where y[r, c] <= 0; y is the output of a ReLU. May be in place.
void relu_backward(device::Context&, tensor::ConstMatrix y, tensor::ConstMatrix d_y, tensor::Matrix d_x);

// y += x
void add(device::Context&, tensor::ConstMatrix x, tensor::Matrix y);

// sums[c] = sum over rows of x[r, c], rows in order, accumulated in float64.
void column_sums(device::Context&, tensor::ConstMatrix x, Span<float> sums);

// The same for each of a run of tiles, whose sums lie `stride` apart.
void tile_column_sums(device::Context&, TileView tiles, tensor::ConstMatrix x, float* sums, index_t stride);

// out row r = source row r.
void gather_rows(device::Context&, tensor::RowSource source, tensor::Matrix out);

// No element is NaN or infinite.
bool all_finite(device::Context&, tensor::ConstMatrix x);

}  // namespace switchyard::ops
