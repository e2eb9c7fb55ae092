// What ranks agree on in a step: the norm of the gradient, and whether the step may change anything. The
// numbers stay in the memory of a context.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/from_base.hpp"
#include "ops/step_scalars.hpp"

namespace switchyard::ops {

// At most squared_piece (ops/reduce.hpp) neighbouring elements of a gradient, in the memory of the context.
struct SquaredPiece {
  FromBase<const float> values;
  std::int64_t count;
};
// A place of the message: the ops::sum_tree of the squares of neighbouring pieces.
struct SquarePlace {
  std::int64_t first_piece;
  std::int64_t pieces;
  std::int64_t place;
};

// Marks of a message, at its end.
enum Mark : index_t { mark_failed, mark_stop, mark_time, mark_count };

// What this rank writes into its message of squares, counts and marks. All in the memory of the context.
struct OwnPart {
  Span<const SquaredPiece> pieces;
  const void* base;  // of their values
  Span<const SquarePlace> places;
  Span<double> sums;  // of pieces: to work with
  const StepScalars* scalars;
  const std::int64_t* has_failed;  // not 0: an update of this rank has (ops::note_failures)
  Span<std::int64_t> message;
};
// A square goes as the bit pattern of its float64, in two launches; places of others and counts are left as
// they are.
void write_own_part(device::Context&, const OwnPart& own);

// How squares become norms (nn::NormTable): entry i is the tree over its squares, the model's norm the tree
// over entries, in the order of the table. All in the memory of the context.
struct NormTables {
  Span<const std::int64_t> square_begin;  // of entry i: [square_begin[i], square_begin[i + 1])
  Span<const std::int64_t> long_entries;  // those with more than short_squares
  // Of units that are divided by their norm: entries [unit_begin[u], unit_begin[u + 1]), of which those of a
  // parameter are neighbours. Empty: none is.
  Span<const std::int64_t> unit_begin;
  Span<const std::int64_t> parameter;  // by entry
  // The norm of a unit: of all of it, or the sum of its parameters'.
  bool sum_of_parameters = false;
  Span<double> squares;     // by entry: to work with
  Span<double> nodes;       // as many as there are entries, and squares of one: to work with
  Span<float> unit_scales;  // result: 1 / norm; -1 where that is 0
};
// Squares of an entry that one thread adds up.
inline constexpr index_t short_squares = 32;

// The factor for all gradients that brings their global norm down to max_norm; 1 if it is smaller, or max_norm
// is 0.
SY_HD inline double clip_scale(double norm, double max_norm) {
  return max_norm > 0.0 && norm > max_norm ? max_norm / norm : 1.0;
}

struct AgreementInput {
  Span<const std::int64_t> message;  // of all ranks
  Span<const double> sums = {};      // of the batch, over all ranks
  double most_norm = 0;              // that is not clipped; 0: any
};
// scalars->agreed and norms.unit_scales; one launch. The step is finite if the norm and all sums are, no rank
// has marked a failure, and all steps before were. Clipping is clip_scale().
void agree(device::Context&, const AgreementInput& input, const NormTables& norms, StepScalars* scalars);

}  // namespace switchyard::ops
