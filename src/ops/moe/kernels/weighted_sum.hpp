// Kernels of ops/moe/weighted_sum.hpp: one row is one sample.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/kernels/math.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/moe/weighted_sum.hpp"

namespace switchyard::ops::kernels {

// With m = -y F and t = e^-|m|: log(1 + e^m) = max(m, 0) + log(1 + t), and its derivative by F. A NaN comes
// through t.
struct Logistic {
  float loss;
  float derivative;

  SY_HD Logistic(float sum, std::int32_t label) {
    const float y = label == 1 ? 1.0F : -1.0F;
    const float m = -y * sum;
    const float t = exp(m > 0.0F ? -m : m);
    const float share = (m > 0.0F ? 1.0F : t) / (1.0F + t);
    loss = (m > 0.0F ? m : 0.0F) + log(1.0F + t);
    derivative = -y * share;
  }
};

// Logistic loss of one slot. "Row" is a block of samples, so that the loops fill vector registers.
struct LogisticOfOne {
  WeightedSumBatch batch;
  WeightedSumOutput output;

  // Per sample: F.
  index_t scratch_bytes() const { return rows_per_block * size_of<float>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    const index_t first = block * rows_per_block;
    const index_t left = batch.weights.rows - first;
    const index_t n = left < rows_per_block ? left : rows_per_block;
    float* const sum = team.template scratch<float>();
    const tensor::RowSource f = batch.rows;
    const tensor::ConstMatrix w = batch.weights;
    // A sample stays with one thread: no sync is needed.
    team.for_each(n, [=](index_t r) { sum[r] = w(first + r, 0) * f.row(first + r)[0]; });
    const std::int32_t* const labels = batch.labels + first;
    float* const losses = output.losses.data() + first;
    float* const d = output.d_sum.row(first);
    const index_t stride = output.d_sum.stride;
    std::int32_t* const predicted = output.predicted.data() + first;
    team.for_each(n, [=](index_t r) {
      const Logistic of(sum[r], labels[r]);
      losses[r] = of.loss;
      d[r * stride] = of.derivative;
      predicted[r] = sum[r] > 0.0F ? 1 : 0;
    });
  }
};

struct WeightedSumForward {
  WeightedSumBatch batch;
  WeightedSumOutput output;

  // F, and for the double softmax q: [outputs] each.
  index_t scratch_bytes() const { return 2 * batch.outputs * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const w = batch.weights.row(row);
    float* const sum = team.template scratch<float>();
    team.for_each(batch.outputs, [&](index_t c) {
      float value = 0;
      for (index_t i = 0; i < batch.slots; ++i) value += w[i] * batch.rows.row(row * batch.slots + i)[c];
      sum[c] = value;
    });
    team.sync();
    switch (batch.loss) {
      case SumLoss::logistic:
        return logistic(team, row, sum[0]);
      case SumLoss::squared_error:
        return squared_error(team, row, sum);
      case SumLoss::cross_entropy:
        cross_entropy(team, row, sum);
        break;
      case SumLoss::double_softmax:
        double_softmax(team, row, sum);
        break;
    }
    const index_t best = device::argmax(team, batch.outputs, [&](index_t c) { return sum[c]; });
    team.once([&] { output.predicted[row] = static_cast<std::int32_t>(best); });
  }

 private:
  template <class Team>
  SY_HD void logistic(const Team& team, index_t row, float sum) const {
    team.once([&] {
      const Logistic of(sum, batch.labels[row]);
      output.losses[row] = of.loss;
      output.d_sum(row, 0) = of.derivative;
      output.predicted[row] = sum > 0.0F ? 1 : 0;
    });
  }

  template <class Team>
  SY_HD void squared_error(const Team& team, index_t row, const float* sum) const {
    const index_t n = batch.outputs;
    const float* const target = batch.targets.row(row);
    const auto count = static_cast<float>(n);
    float* const d = output.d_sum.row(row);
    float* const f = output.sum.row(row);
    team.for_each(n, [&](index_t c) {
      f[c] = sum[c];
      d[c] = 2.0F * (sum[c] - target[c]) / count;
    });
    const float squares = team.sum(n, [&](index_t c) { return (sum[c] - target[c]) * (sum[c] - target[c]); });
    team.once([&] { output.losses[row] = squares / count; });
  }

  template <class Team>
  SY_HD void cross_entropy(const Team& team, index_t row, const float* sum) const {
    const index_t n = batch.outputs;
    const std::int32_t label = batch.labels[row];
    const float m = team.max(n, [&](index_t c) { return sum[c]; });
    const float total = team.sum(n, [&](index_t c) { return exp(sum[c] - m); });
    float* const d = output.d_sum.row(row);
    team.for_each(n, [&](index_t c) { d[c] = exp(sum[c] - m) / total - (c == label ? 1.0F : 0.0F); });
    team.once([&] { output.losses[row] = -((sum[label] - m) - log(total)); });
  }

  // q = softmax(F), s = softmax(q): dL/dq = s - 1_t, dL/dF_c = q_c (dL/dq_c - <q, dL/dq>).
  template <class Team>
  SY_HD void double_softmax(const Team& team, index_t row, const float* sum) const {
    const index_t n = batch.outputs;
    const std::int32_t label = batch.labels[row];
    float* const q = team.template scratch<float>(n * size_of<float>);
    float* const d = output.d_sum.row(row);
    const float m = team.max(n, [&](index_t c) { return sum[c]; });
    const float total = team.sum(n, [&](index_t c) { return exp(sum[c] - m); });
    team.for_each(n, [&](index_t c) { q[c] = exp(sum[c] - m) / total; });
    const float outer_total = team.sum(n, [&](index_t c) { return exp(q[c]); });
    const auto d_q = [&](index_t c) { return exp(q[c]) / outer_total - (c == label ? 1.0F : 0.0F); };
    const float mean = team.sum(n, [&](index_t c) { return q[c] * d_q(c); });
    team.for_each(n, [&](index_t c) { d[c] = q[c] * (d_q(c) - mean); });
    team.once([&] { output.losses[row] = log(outer_total) - q[label]; });
  }
};

}  // namespace switchyard::ops::kernels
