// Sums in a fixed order.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// out[i] = the sum of partials(p, i) over p in [0, P), in the order of the fixed binary tree
// sum(0..P) = sum(0..P/2) + sum(P/2..P): a function of P only. Zeros if P is 0.
void sum_partials(device::Context&, tensor::ConstMatrix partials, Span<float> out);
// The same tree for float64 on the host.
double sum_tree(Span<const double> values);
// sums[i] += values[i]
void add_to(device::Context&, Span<const float> values, Span<float> sums);

// sum += the values, in float64 with the 32 lanes of a team: the figures of a shard's rows.
void add_sum(device::Context&, Span<const float> values, double& sum);
void add_sum(device::Context&, Span<const double> values, double& sum);

// Sum of squares in float64: pieces of `squared_piece` elements, each with the 32 lanes of a team, the pieces
// by sum_tree.
inline constexpr index_t squared_piece = 8192;
// How many there are; of no element one.
constexpr index_t squared_pieces(index_t count) {
  return count == 0 ? 1 : (count + squared_piece - 1) / squared_piece;
}
double squared_sum(device::Context&, Span<const float> values);
// The sums of the pieces, for callers that hold a run of whole pieces. The thread's next call ends the result.
Span<const double> squared_sums(device::Context&, Span<const float> values);

}  // namespace switchyard::ops
