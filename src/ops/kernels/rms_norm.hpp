// Kernels of ops/rms_norm.hpp, against Team (device/team.hpp).
#pragma once

#include <cmath>

#include "base/host_device.hpp"
#include "ops/kernels/column_sums.hpp"
#include "ops/kernels/math.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

struct RmsNorm {
  tensor::ConstMatrix x;
  const float* weight;
  float epsilon;
  tensor::Matrix y;
  float* inverse_rms;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    float* const out = y.row(row);
    const float sum = team.sum(x.cols, [&](index_t i) { return in[i] * in[i]; });
    const float r = 1.0F / std::sqrt(sum / static_cast<float>(x.cols) + epsilon);
    team.for_each(x.cols, [&](index_t i) { out[i] = weight[i] * (in[i] * r); });
    team.once([&] { inverse_rms[row] = r; });
  }
};

// Each place of d_y is read before it is written: d_x may lie there.
struct RmsNormBackward {
  tensor::ConstMatrix x;
  const float* weight;
  const float* inverse_rms;
  tensor::ConstMatrix d_y;
  tensor::Matrix d_x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    const float* const d_out = d_y.row(row);
    float* const d_in = d_x.row(row);
    const float r = inverse_rms[row];
    const float along = team.sum(x.cols, [&](index_t i) { return weight[i] * d_out[i] * in[i]; });
    const float back = along * r * r / static_cast<float>(x.cols);
    team.for_each(x.cols, [&](index_t i) { d_in[i] = r * (weight[i] * d_out[i] - in[i] * back); });
  }
};

// "Row" is a tile and a block of columns.
struct RmsNormWeightGradient {
  TileColumns columns;
  tensor::ConstMatrix x;
  const float* inverse_rms;
  tensor::ConstMatrix d_y;
  float* d_weight;
  index_t stride;

  index_t scratch_bytes() const { return columns.scratch_bytes(); }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const RmsNormWeightGradient of = *this;
    columns.sum(team, row, d_weight, stride, [=](index_t r) {
      const float* const in = of.x.row(r);
      const float* const d = of.d_y.row(r);
      const float inverse = of.inverse_rms[r];
      return [=](index_t c) { return static_cast<double>(d[c]) * (in[c] * inverse); };
    });
  }
};

}  // namespace switchyard::ops::kernels
