// Sums in a fixed order.
#pragma once

#include "device/context.hpp"

#include "base/span.hpp"

namespace switchyard::ops {

// out[i] = the sum of partials[p * count + i] over p, in the order of the fixed binary tree
// sum(0..P) = sum(0..P/2) + sum(P/2..P): a function of P only.
void sum_partials(device::Context&, Span<const float> partials, index_t partial_count, Span<float> out);
// The same tree for float64 on the host.
double sum_tree(Span<const double> values);
// sums[i] += values[i]
void add_to(device::Context&, Span<const float> values, Span<float> sums);

// Sum of squares in float64: pieces of 8192, each with the 32 lanes of a team, the pieces by sum_tree.
double squared_sum(device::Context&, Span<const float> values);

}  // namespace switchyard::ops
