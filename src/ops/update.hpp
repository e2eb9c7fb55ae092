// Optimiser updates, elementwise, of all parameters in one launch for each kind of optimiser. Gradients are
// multiplied by a scale (clipping) first. A step whose numbers are not finite (ops/step_scalars.hpp) changes
// nothing.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/from_base.hpp"
#include "ops/step_scalars.hpp"

namespace switchyard::ops {

// Elements of a piece at most: few enough to be in cache still when they are looked through for what is not
// finite.
inline constexpr index_t update_piece = 1024;

// Neighbouring elements of a parameter, all in the memory of a context, as is the piece itself.
struct UpdatePiece {
  FromBase<float> value;
  FromBase<const float> gradient;
  FromBase<float> first;   // moment, or velocity; null: there is none
  FromBase<float> second;  // moment
  std::int32_t count;      // elements
  std::int32_t group;      // whose rates are its own
  std::int32_t unit;       // whose gradient has a norm
};

// What is updated, and by what. All in the memory of the context.
struct Update {
  Span<const UpdatePiece> pieces;
  const void* base;  // of their arrays
  const StepScalars* scalars;
  // By piece: becomes 1 if a value or moment is not finite after it, else 0. Left as it is by a step that
  // changes nothing.
  std::uint8_t* failed;
};

// What weight decay is added to: the gradient (L2), or the step, which its size then does not depend on
// (Loshchilov and Hutter 2019).
enum class Decay { l2, decoupled };

// Adam (Kingma and Ba 2015), with L2 weight decay added to the gradient as in the reference experiments:
// g = scale * gradient + decay * w; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
// w -= rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon),
// evaluated as (rate / (1 - b1^t)) * m / (sqrt(v) * (1 / sqrt(1 - b2^t)) + epsilon), and b m as m - (1 - b) m:
// the nearest float32 to 0.999 is 1.3e-5 of 1 - b away from it, that to 1 - b is 6e-8.
// AdamW, decoupled: g = scale * gradient; what is taken from w is that and rate * decay * w.
struct Adam {
  float one_minus_beta1;  // from float64
  float one_minus_beta2;
  float epsilon;
  Decay decay = Decay::l2;
};
void adam_update(device::Context&, const Adam& adam, const Update& update);

// g = scale * gradient + decay * w; u = momentum * u + g; w -= rate * u. Without momentum there is no u.
struct Sgd {
  float momentum;
  // By unit, in place of the step's scale; negative: the unit stays as it is. Null: none has its own.
  const float* unit_scales = nullptr;
};
void sgd_update(device::Context&, const Sgd& sgd, const Update& update);

// How many bytes `failed` has for so many pieces: note_failures() reads it by words.
constexpr index_t failure_bytes(index_t pieces) { return (pieces + 7) / 8 * 8; }
// *any = 1 if one of `failed` is not 0 (failure_bytes() of them, those behind the last piece 0), else as it is.
void note_failures(device::Context&, Span<const std::uint8_t> failed, std::int64_t* any);

}  // namespace switchyard::ops
