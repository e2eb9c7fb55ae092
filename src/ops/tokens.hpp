// What models of tokens need besides rows: the loss of logits, and the gradient of a table of rows.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// losses[r] = -log softmax(logits_r)_target, in nats; predicted[r] = argmax logits_r, ties to the lower one.
// With a scale other than 0, logits become its gradient: scale (softmax(logits_r) - 1_target); else they are
// nothing any more.
void cross_entropy(device::Context&, tensor::Matrix logits, Span<const std::int32_t> targets, float scale,
                   Span<float> losses, Span<std::int32_t> predicted);

// Of each of a run of tiles, rows by what they are rows of: those of `token` are order[begin[token]], ...,
// ascending, counted from the tile's first. tokens, order: [rows]; begin: [tiles, V + 1].
struct TokenOrder {
  Span<const std::int32_t> tokens;  // in [0, V)
  Span<std::int32_t> begin;
  Span<std::int32_t> order;
  index_t vocabulary = 0;
};
void sort_by_token(device::Context&, TileView tiles, const TokenOrder& of);
// table[t][token] = or += the sum of its rows of d_x in tile t, one after the other; [V, cols] each, `stride`
// apart.
struct TokenTables {
  float* first = nullptr;
  index_t stride = 0;
  bool added = false;
};
void add_rows_by_token(device::Context&, TileView tiles, const TokenOrder& of, tensor::ConstMatrix d_x,
                       const TokenTables& tables);

}  // namespace switchyard::ops
