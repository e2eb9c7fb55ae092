// Kernels of ops/moe/gaussian.hpp: one row is one sample.
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/math.hpp"
#include "ops/moe/gaussian.hpp"

namespace switchyard::ops::kernels {

// With a_i = log w_i - |d - o_i|^2 / (2 s^2): loss = -logsumexp(a) + T log(s sqrt(2 pi)), h_i = e^(a_i) / sum.
struct GaussianForward {
  GaussianBatch batch;
  GaussianOutput output;

  // a: [K]
  index_t scratch_bytes() const { return batch.slots * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t slots = batch.slots;
    float* const a = team.template scratch<float>();
    team.for_each(slots, [&](index_t i) { a[i] = log_joint(row, i); });
    team.sync();
    const float m = team.max(slots, [&](index_t i) { return a[i]; });
    const float sum = team.sum(slots, [&](index_t i) { return exp(a[i] - m); });
    team.for_each(slots, [&](index_t i) { output.posteriors(row, i) = exp(a[i] - m) / sum; });
    team.for_each(batch.targets.cols, [&](index_t t) { output.mean(row, t) = mean(row, t); });
    constexpr float log_of_root_of_two_pi = 0.918938533F;
    const float constant =
        static_cast<float>(batch.targets.cols) * (log(batch.deviation) + log_of_root_of_two_pi);
    team.once([&] { output.losses[row] = constant - (m + log(sum)); });
  }

 private:
  SY_HD float log_joint(index_t row, index_t i) const {
    const float* const o = batch.rows.row(row * batch.slots + i);
    const float* const d = batch.targets.row(row);
    float squares = 0;
    for (index_t t = 0; t < batch.targets.cols; ++t) squares += (d[t] - o[t]) * (d[t] - o[t]);
    return batch.log_weights(row, i) - squares / (2.0F * batch.deviation * batch.deviation);
  }

  SY_HD float mean(index_t row, index_t t) const {
    if (batch.slots == 1) return batch.rows.row(row)[t];
    float sum = 0;
    for (index_t i = 0; i < batch.slots; ++i)
      sum += exp(batch.log_weights(row, i)) * batch.rows.row(row * batch.slots + i)[t];
    return sum;
  }
};

struct GaussianBackward {
  GaussianBatch batch;
  tensor::ConstMatrix posteriors;
  float scale;
  GaussianGradient gradient;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const d = batch.targets.row(row);
    for (index_t i = 0; i < batch.slots; ++i) {
      const float h = scale * posteriors(row, i);
      if (gradient.d_rows.cols > 0) {
        const float* const o = batch.rows.row(row * batch.slots + i);
        float* const d_o = gradient.d_rows.row(row * batch.slots + i);
        const float share = h / (batch.deviation * batch.deviation);
        team.for_each(batch.targets.cols, [&](index_t t) { d_o[t] = share * (o[t] - d[t]); });
      }
      team.once([&] { gradient.d_log_weights(row, i) = -h; });
    }
  }
};

}  // namespace switchyard::ops::kernels
