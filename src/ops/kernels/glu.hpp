// Kernels of ops/glu.hpp, against Team (device/team.hpp).
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/math.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

SY_HD inline float sigmoid(float x) { return 1.0F / (1.0F + exp(-x)); }

struct SwiGlu {
  tensor::ConstMatrix x;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const gate = x.row(row);
    const float* const value = gate + y.cols;
    float* const out = y.row(row);
    team.for_each(y.cols, [=](index_t i) { out[i] = gate[i] * sigmoid(gate[i]) * value[i]; });
  }
};

struct SwiGluBackward {
  tensor::ConstMatrix x;
  tensor::ConstMatrix d_y;
  tensor::Matrix d_x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const gate = x.row(row);
    const float* const value = gate + d_y.cols;
    const float* const d = d_y.row(row);
    float* const d_gate = d_x.row(row);
    float* const d_value = d_gate + d_y.cols;
    team.for_each(d_y.cols, [=](index_t i) {
      const float s = sigmoid(gate[i]);
      const float slope = s * (1.0F + gate[i] * (1.0F - s));
      d_value[i] = d[i] * (gate[i] * s);
      d_gate[i] = d[i] * value[i] * slope;
    });
  }
};

}  // namespace switchyard::ops::kernels
