// Euclidean distances between the rows of two matrices.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// squared_norms[r] = |x_r|^2, added up in float64 and rounded once.
void squared_norms(device::Context&, tensor::ConstMatrix x, Span<float> squared_norms);

struct PairwiseRows {
  tensor::ConstMatrix values;
  Span<const float> squared_norms;  // [rows]
};

// Results of pairwise_distances().
struct PairwiseDistances {
  tensor::Matrix distances;
  Span<double> sums;  // [rows]
};
// distances[r, c] = |x_r - y_c|, from one matrix product: the root of |x_r|^2 + |y_c|^2 - 2 x_r . y_c, or of 0
// where that is negative. Row r and column r + self are one and the same sample, whose distance is 0 exactly.
// sums[r] += the distances of row r, in float64.
//
// Error: a squared distance is off by at most e = c 2^-24 (|x|^2 + |y|^2), where c is about 4 for 784
// columns of any sign (tests/conformance/ops/pairwise_test.cpp holds it to 16), so a distance d by at most
// min(e / d, sqrt(e)): 2e-7 of a distance as long as the vectors, 5e-4 of the vectors' length for two
// samples that are equal.
void pairwise_distances(device::Context&, const PairwiseRows& x, const PairwiseRows& y, index_t self,
                        const PairwiseDistances& result);

// sums[r] = sum_c x(r, c) y(r, c), columns in order, in float64.
void products_of_rows(device::Context&, tensor::ConstMatrix x, tensor::ConstMatrix y, Span<double> sums);

}  // namespace switchyard::ops
