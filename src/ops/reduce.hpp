// Sums in a fixed order.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// out[i] = the sum of partials(p, i) over p in [0, P), in the order of the fixed binary tree
// sum(0..P) = sum(0..P/2) + sum(P/2..P): a function of P only. Zeros if P is 0.
void sum_partials(device::Context&, tensor::ConstMatrix partials, Span<float> out);
// The sums over a set's tiles of their partial sums, for all parameters of all sets. A piece is a run of
// columns of a tile's partials, whose sum for set s goes to sums[place + s * set_stride].
struct PartialPiece {
  index_t column;
  index_t width;
  index_t place;
  index_t set_stride;
};
struct PartialPieces {
  const PartialPiece* pieces;  // in the context's memory
  index_t count;
};
struct SetPartials {
  const float* partials;  // [tiles of all sets, width]
  index_t width;
  const SetTiles* sets;  // in the context's memory
  PartialPieces pieces;
  float* sums;
  bool added;  // to what is there
};
// Each in the order of the tree over the set's tiles, at most `most_tiles`; zero for a set without any.
void sum_set_partials(device::Context&, const SetPartials& of, index_t sets, index_t most_tiles);
// A parameter's columns as pieces that a row of the kernel takes.
Vector<PartialPiece> pieces_of(const PartialPiece& whole);

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
