// What self-attention along a sequence needs besides products: positions, and a softmax that does not look
// ahead.
#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/buffer.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Rotary positions (Su et al. 2021): of position p the pair (i, i + half) of a head turns by the angle p
// base^(-i / half).
struct RotaryTable {
  index_t positions, half;
  device::Buffer<float> cosine, sine;  // [positions, half]

  static RotaryTable make(index_t positions, index_t head_width, double base,
                          device::MemoryKind memory = device::MemoryKind::host);
};

// Where the rows of a sequence stand: row r at position first + r, and rows behind the first `count` where the
// last of those does, whose copies they are.
struct Places {
  index_t first = 0;
  index_t count = std::numeric_limits<index_t>::max();

  SY_HD index_t of(index_t row) const { return first + (row < count ? row : count - 1); }
};

// Turns the first heads * 2 * half columns of rows, in place; backward turns them back, which is the gradient.
// Row r has position places.of(r) mod positions.
enum class Turn { forward, backward };
void rotate(device::Context&, const RotaryTable& table, index_t heads, Turn turn, tensor::Matrix rows,
            Places places = {});

// What row i sees of its sequence: columns first[i] to its own, places.of(i). Empty: from 0.
struct CausalMask {
  Span<const std::int32_t> first = {};
  Places places = {};
  // Of several heads, each with `rows` rows, one behind the other: those of a sequence share its part of
  // `first`, which begins with the sequence of head 0.
  index_t rows = std::numeric_limits<index_t>::max();
  index_t heads = 1;       // of a sequence
  index_t first_head = 0;  // that of row 0
};
// scores: [rows, L]. Row i becomes the softmax of scale * scores_ij over what it sees, and 0 elsewhere, in
// place.
void causal_softmax(device::Context&, CausalMask mask, float scale, tensor::Matrix scores);
// From the gradient of p = causal_softmax(s) of whole sequences, in place: d_s_ij = scale p_ij (d_ij - sum_k
// p_ik d_ik).
void causal_softmax_backward(device::Context&, CausalMask mask, tensor::ConstMatrix p, float scale,
                             tensor::Matrix d);

}  // namespace switchyard::ops
