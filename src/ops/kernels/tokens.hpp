// Kernels of ops/tokens.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "device/team.hpp"
#include "ops/kernels/math.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

struct CrossEntropy {
  tensor::Matrix logits;
  const std::int32_t* targets;
  float scale;
  float* losses;
  std::int32_t* predicted;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const z = logits.row(row);
    const index_t n = logits.cols;
    const std::int32_t target = targets[row];
    const index_t best = device::argmax(team, n, [=](index_t c) { return z[c]; });
    const float m = z[best];
    const float of_target = z[target] - m;
    team.sync();
    team.for_each(n, [=](index_t c) { z[c] = exp(z[c] - m); });
    const float total = team.sum(n, [=](index_t c) { return z[c]; });
    team.once([&] {
      losses[row] = -(of_target - log(total));
      predicted[row] = static_cast<std::int32_t>(best);
    });
    if (scale == 0.0F) return;
    const float factor = scale;
    team.for_each(n, [=](index_t c) { z[c] = factor * (z[c] / total - (c == target ? 1.0F : 0.0F)); });
  }
};

// "Row" is a token.
struct AddRowsByToken {
  tensor::ConstMatrix d_x;
  const std::int32_t* begin;
  const std::int32_t* order;
  tensor::Matrix table;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t token) const {
    float* const out = table.row(token);
    // An element stays with one thread: no sync is needed.
    for (index_t i = begin[token]; i < begin[token + 1]; ++i) {
      const float* const d = d_x.row(order[i]);
      team.for_each(table.cols, [=](index_t c) { out[c] += d[c]; });
    }
  }
};

}  // namespace switchyard::ops::kernels
