// Kernels of ops/moe/attention.hpp: one row is one sample.
#pragma once

#include "base/host_device.hpp"
#include "ops/moe/attention.hpp"

namespace switchyard::ops::kernels {

struct AttentionScores {
  AttentionBatch batch;
  float scale;  // 1 / sqrt(d)
  tensor::Matrix scores;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const u = batch.u.row(row);
    for (index_t i = 0; i < batch.experts; ++i) {
      const float* const h = batch.hidden[row * batch.experts + i];
      const float product = team.sum(batch.u.cols, [&](index_t c) { return u[c] * h[c]; });
      team.once([&] { scores(row, i) = scale * product; });
    }
  }
};

struct AttentionBackward {
  AttentionBatch batch;
  float scale;  // 1 / sqrt(d)
  tensor::ConstMatrix d_scores;
  AttentionGradient gradient;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const u = batch.u.row(row);
    const index_t d = batch.u.cols;
    for (index_t i = 0; i < batch.experts && gradient.d_hidden != nullptr; ++i) {
      const float d_product = scale * d_scores(row, i);
      float* const d_h = gradient.d_hidden[row * batch.experts + i];
      team.for_each(d, [&](index_t c) { d_h[c] = d_product * u[c]; });
    }
    if (gradient.d_u.data == nullptr) return;
    float* const d_u = gradient.d_u.row(row);
    team.for_each(d, [&](index_t c) { d_u[c] = 0.0F; });
    for (index_t i = 0; i < batch.experts; ++i) {
      const float d_product = scale * d_scores(row, i);
      const float* const h = batch.hidden[row * batch.experts + i];
      team.for_each(d, [&](index_t c) { d_u[c] += d_product * h[c]; });
    }
  }
};

}  // namespace switchyard::ops::kernels
