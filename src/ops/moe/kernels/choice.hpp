// Kernels of ops/moe/choice.hpp: one row is one sample.
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/math.hpp"
#include "ops/moe/choice.hpp"

namespace switchyard::ops::kernels {

struct BiasedShares {
  tensor::ConstMatrix scores;
  WeightSum sum;
  const float* bias;
  tensor::Matrix values;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const z = scores.row(row);
    const float* const b = bias;
    float* const out = values.row(row);
    const index_t n = scores.cols;
    float m = 0.0F;
    float total = 1.0F;
    if (sum == WeightSum::experts) {
      m = team.max(n, [=](index_t e) { return z[e]; });
      total = team.sum(n, [=](index_t e) { return exp(z[e] - m); });
    }
    team.for_each(n, [=](index_t e) { out[e] = exp(z[e] - m) / total + b[e]; });
  }
};

struct KeepBestGroups {
  ExpertGroups groups;
  tensor::Matrix values;

  // The groups' scores, and how many groups are better.
  index_t scratch_bytes() const { return 2 * groups.count * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    constexpr float lowest = -__builtin_inff();
    const index_t count = groups.count;
    const index_t size = values.cols / count;
    const index_t kept = groups.kept;
    float* const v = values.row(row);
    float* const score = team.template scratch<float>();
    float* const better = score + count;
    team.for_each(count, [=](index_t g) {
      float first = lowest;
      float second = size > 1 ? lowest : 0.0F;
      for (index_t i = 0; i < size; ++i) {
        const float value = v[g * size + i];
        if (value > first) {
          if (size > 1) second = first;
          first = value;
        } else if (value > second && size > 1) {
          second = value;
        }
      }
      score[g] = first + second;
    });
    team.sync();
    team.for_each(count, [=](index_t g) {
      float above = 0.0F;
      for (index_t other = 0; other < count; ++other) {
        const bool wins = score[other] > score[g] || (score[other] == score[g] && other < g);
        above += wins ? 1.0F : 0.0F;
      }
      better[g] = above;
    });
    team.sync();
    team.for_each(values.cols, [=](index_t e) {
      if (better[e / size] >= static_cast<float>(kept)) v[e] = lowest;
    });
  }
};

}  // namespace switchyard::ops::kernels
