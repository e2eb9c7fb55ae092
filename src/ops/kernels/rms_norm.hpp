// Kernels of ops/rms_norm.hpp, against Team (device/team.hpp).
#pragma once

#include <cmath>

#include "base/host_device.hpp"
#include "ops/kernels/math.hpp"
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

// "Row" is a block of columns, as of ColumnSums.
struct RmsNormWeightGradient {
  tensor::ConstMatrix x;
  const float* inverse_rms;
  tensor::ConstMatrix d_y;
  float* d_weight;
  index_t block;  // columns

  index_t scratch_bytes() const { return block * size_of<double>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t first = row * block;
    const index_t n = x.cols - first < block ? x.cols - first : block;
    double* const sum = team.template scratch<double>();
    team.for_each(n, [&](index_t c) { sum[c] = 0; });
    for (index_t r = 0; r < x.rows; ++r) {
      const float* const in = x.row(r) + first;
      const float* const d = d_y.row(r) + first;
      const float inverse = inverse_rms[r];
      team.for_each(n, [&](index_t c) { sum[c] += static_cast<double>(d[c]) * (in[c] * inverse); });
    }
    team.for_each(n, [&](index_t c) { d_weight[first + c] = static_cast<float>(sum[c]); });
  }
};

}  // namespace switchyard::ops::kernels
