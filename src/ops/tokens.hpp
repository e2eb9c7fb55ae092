// What models of tokens need besides rows: the loss of logits, and the gradient of a table of rows.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// losses[r] = -log softmax(logits_r)_target, in nats; predicted[r] = argmax logits_r, ties to the lower one.
// With a scale other than 0, logits become its gradient: scale (softmax(logits_r) - 1_target); else they are
// nothing any more.
void cross_entropy(device::Context&, tensor::Matrix logits, Span<const std::int32_t> targets, float scale,
                   Span<float> losses, Span<std::int32_t> predicted);

// Rows by what they are rows of: those of `token` are order[begin[token]], ..., ascending. tokens: [rows], in
// [0, V); begin: [V + 1]; order: [rows]. A counting sort on the host.
void sort_by_token(Span<const std::int32_t> tokens, Span<std::int32_t> begin, Span<std::int32_t> order);
// table[token] += the sum of its rows of d_x, one after the other. table: [V, cols].
void add_rows_by_token(device::Context&, tensor::ConstMatrix d_x, Span<const std::int32_t> begin,
                       Span<const std::int32_t> order, tensor::Matrix table);

}  // namespace switchyard::ops
