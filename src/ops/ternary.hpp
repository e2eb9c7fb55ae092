// Ternary weights and rows of eight bits (BitNet b1.58, Ma et al. 2024): products of small integers.
//
// y = (x_q W_q) gamma / s. A sum over up to 2^17 integers is exact in float32, so that a product has the same
// bits whether it reads them as float32, bfloat16 or int8; what is not exact is done once per element.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Equal matrices of several sets, and their factors: those of each set are side by side.
struct SetMatrices {
  const float* w = nullptr;  // of set 0; the others follow w_stride apart
  index_t w_stride = 0;
  index_t sets = 0;
  index_t rows = 0;
  index_t cols = 0;
  index_t blocks = 1;  // of columns, equal ones, with a gamma each
};
// gammas[set, b] = the mean of |w| over block b, 1e-5 at least. The sum is of float64: over the columns of each
// row, then over the rows. row_sums: [sets, rows, blocks].
void mean_magnitudes(device::Context&, const SetMatrices& matrices, Span<double> row_sums, Span<float> gammas);
// q = clamp(round(w / gamma), -1, 1), ties to even: [sets, rows, cols]. Number: float, bfloat16 or std::int8_t.
template <class Number>
void to_ternary(device::Context&, const SetMatrices& matrices, Span<const float> gammas, Span<Number> q);

// scales[r] = s = 127 / max |x|, of 1e-5 at least; q = clamp(round(x s), -128, 127), ties to even: [rows,
// cols]. A row with a NaN or an infinity has s = NaN.
template <class Number>
void to_eight_bits(device::Context&, tensor::RowSource x, Span<Number> q, Span<float> scales);

// The factors of columns, by set and block, and whose rows are.
struct Gammas {
  const float* of_sets = nullptr;  // [sets, blocks]
  index_t blocks = 1;
  RowSets sets = {};
};
// y *= gamma / s, by block of columns and by row. What comes out has no -0, which sums of floats may be.
void scale_products(device::Context&, const Gammas& gammas, Span<const float> scales, tensor::Matrix y);
// Gradients for the two products of the way back, with what is not an integer on their side.
template <class Number>
void times_gammas(device::Context&, const Gammas& gammas, tensor::ConstMatrix d_y, Span<Number> result);
template <class Number>
void over_scales(device::Context&, Span<const float> scales, tensor::ConstMatrix d_y, Span<Number> result);

}  // namespace switchyard::ops
