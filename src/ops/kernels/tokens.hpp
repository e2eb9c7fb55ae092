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
    const float m = team.max(n, [&](index_t c) { return z[c]; });
    const float total = team.sum(n, [&](index_t c) { return exp(z[c] - m); });
    const index_t best = device::argmax(team, n, [&](index_t c) { return z[c]; });
    team.once([&] {
      losses[row] = -((z[target] - m) - log(total));
      predicted[row] = static_cast<std::int32_t>(best);
    });
    if (scale == 0.0F) return;
    team.sync();
    team.for_each(n, [&](index_t c) { z[c] = scale * (exp(z[c] - m) / total - (c == target ? 1.0F : 0.0F)); });
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
