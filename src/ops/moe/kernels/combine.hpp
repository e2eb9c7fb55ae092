// Kernels of ops/moe/combine.hpp: one row is one sample or token.
#pragma once

#include "base/host_device.hpp"
#include "ops/moe/combine.hpp"

namespace switchyard::ops::kernels {

struct Combine {
  CombineBatch batch;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const w = batch.weights.row(row);
    float* const out = y.row(row);
    const index_t slots = batch.slots();
    {
      const float* const f = batch.rows.row(row * slots);
      team.for_each(y.cols, [=](index_t c) { out[c] = w[0] * f[c]; });
    }
    // An element stays with one thread: no sync is needed.
    for (index_t i = 1; i < slots; ++i) {
      const float* const f = batch.rows.row(row * slots + i);
      const float weight = w[i];
      team.for_each(y.cols, [=](index_t c) { out[c] += weight * f[c]; });
    }
  }
};

struct CombineBackward {
  CombineBatch batch;
  tensor::ConstMatrix d_y;
  CombineGradient gradient;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const d = d_y.row(row);
    const float scale = gradient.scale;
    const index_t slots = batch.slots();
    for (index_t i = 0; i < slots; ++i) {
      const float* const f = batch.rows.row(row * slots + i);
      const float w = batch.weights(row, i);
      const float factor = scale * w;
      if (gradient.d_rows.cols > 0) {
        float* const d_f = gradient.d_rows.row(row * slots + i);
        team.for_each(d_y.cols, [&](index_t c) { d_f[c] = factor * d[c]; });
      }
      const float along = team.sum(d_y.cols, [&](index_t c) { return f[c] * d[c]; });
      team.once([&] {
        gradient.d_slots(row, i) = (gradient.measure == GateMeasure::weight ? factor : scale) * along;
      });
    }
  }
};

struct SumSlots {
  tensor::RowSource rows;
  index_t slots;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const out = y.row(row);
    {
      const float* const x = rows.row(row * slots);
      team.for_each(y.cols, [=](index_t c) { out[c] = x[c]; });
    }
    for (index_t i = 1; i < slots; ++i) {
      const float* const x = rows.row(row * slots + i);
      team.for_each(y.cols, [=](index_t c) { out[c] += x[c]; });
    }
  }
};

}  // namespace switchyard::ops::kernels
