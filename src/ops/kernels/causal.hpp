// Kernels of ops/causal.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/causal.hpp"
#include "ops/kernels/math.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

struct Rotate {
  const float* cosine;  // [positions, half]
  const float* sine;
  index_t positions;
  index_t half;
  index_t heads;
  float direction;  // 1: forward, -1: back
  Places places;
  tensor::Matrix rows;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t n = half;
    const index_t position = places.of(row) % positions;
    const float* const c = cosine + position * n;
    const float* const s = sine + position * n;
    const float way = direction;
    for (index_t head = 0; head < heads; ++head) {
      float* const first = rows.row(row) + head * 2 * n;
      float* const second = first + n;
      team.for_each(n, [=](index_t i) {
        const float a = first[i];
        const float b = second[i];
        const float turned = way * s[i];
        first[i] = a * c[i] - b * turned;
        second[i] = a * turned + b * c[i];
      });
    }
  }
};

// What rows of heads see.
struct SeenColumns {
  const std::int32_t* begin;  // null: 0 for every row
  Places places;
  index_t rows, heads, first_head;

  struct Range {
    index_t first, last;
  };
  SY_HD Range of(index_t row) const {
    const index_t head = row < rows ? 0 : row / rows, of_head = row - head * rows;
    if (begin == nullptr) return {0, places.of(of_head)};
    const index_t sequence = heads == 1 ? first_head + head : (first_head + head) / heads;
    return {begin[sequence * rows + of_head], places.of(of_head)};
  }
};

// 0 for the columns of a row that it does not see.
template <class Team>
SY_HD void clear_unseen(const Team& team, index_t first, index_t last, float* out, index_t cols) {
  team.for_each(first, [=](index_t j) { out[j] = 0.0F; });
  team.for_each(cols - last - 1, [=](index_t j) { out[last + 1 + j] = 0.0F; });
}

struct CausalSoftmax {
  SeenColumns mask;
  float scale;
  tensor::Matrix scores;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const auto [first, last] = mask.of(row);
    float* const s = scores.row(row) + first;
    const index_t seen = last + 1 - first;
    const float factor = scale;
    const float m = team.max(seen, [=](index_t j) { return factor * s[j]; });
    team.for_each(seen, [=](index_t j) { s[j] = exp(factor * s[j] - m); });
    const float sum = team.sum(seen, [=](index_t j) { return s[j]; });
    team.for_each(seen, [=](index_t j) { s[j] /= sum; });
    clear_unseen(team, first, last, scores.row(row), scores.cols);
  }
};

struct CausalSoftmaxBackward {
  SeenColumns mask;
  tensor::ConstMatrix p;
  float scale;
  tensor::Matrix d;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const auto [first, last] = mask.of(row);
    const float* const share = p.row(row) + first;
    float* const out = d.row(row) + first;
    const index_t seen = last + 1 - first;
    const float factor = scale;
    const float along = team.sum(seen, [=](index_t j) { return share[j] * out[j]; });
    team.for_each(seen, [=](index_t j) { out[j] = factor * (share[j] * (out[j] - along)); });
    clear_unseen(team, first, last, d.row(row), d.cols);
  }
};

}  // namespace switchyard::ops::kernels
