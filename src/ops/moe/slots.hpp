// What routers, mixtures of sub-tokens and weighted samples do to every slot or row, one number at a time.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// experts[n, i] = i: every expert sees every row. experts: [N, slots].
void take_all(device::Context&, index_t slots, Span<std::int32_t> experts);
// experts[n] = expert_of_label[labels[n]]
void experts_by_label(device::Context&, Span<const std::int32_t> expert_of_label,
                      Span<const std::int32_t> labels, Span<std::int32_t> experts);
// weights = 1, log_weights = 0: [N, K] each, rows side by side.
void weigh_fully(device::Context&, tensor::Matrix weights, tensor::Matrix log_weights);

// values[i] = value
void fill(device::Context&, std::int32_t value, Span<std::int32_t> values);

// Of rows that are cut into `times` each: values[r / times], and ids[r / times] * times + r % times.
void repeat(device::Context&, Span<const std::int32_t> values, index_t times, Span<std::int32_t> all);
void number_parts(device::Context&, Span<const index_t> ids, index_t times, Span<index_t> all);

// losses[n] *= weights[n]
void weigh_losses(device::Context&, Span<const float> weights, Span<float> losses);
// Row n of slots ([N, K]) and of rows ([N * K, cols], n K to n K + K - 1; no columns: none) times weights[n].
void weigh_gradients(device::Context&, Span<const float> weights, tensor::Matrix slots,
                     const tensor::RowTarget& rows);
// sums[n] = losses[n] + log_weights(n, 0)
void add_log_weights(device::Context&, Span<const float> losses, tensor::ConstMatrix log_weights,
                     Span<float> sums);

// biases[e] += rate (s_e - mean of s), s_e = sign(mean load - loads[e]). Without the mean, which changes no
// choice, biases would rise together for ever where few experts have most of the load, and lose their digits.
void move_biases(device::Context&, Span<const std::int64_t> loads, double rate, Span<float> biases);

}  // namespace switchyard::ops
