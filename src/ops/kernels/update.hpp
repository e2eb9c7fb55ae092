// Elementwise kernels of ops/update.hpp, in rows of `update_block` elements: small enough to be in cache still
// when the row is looked through for what is not finite.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "ops/update.hpp"

namespace switchyard::ops::kernels {

inline constexpr index_t update_block = 1024;

// A row of an update: `one(i)` for its elements; then failed[row] = 1 if one of `checked` is NaN or infinite
// there, else 0.
template <class Team, class One, class... Checked>
SY_HD void update_row(const Team& team, index_t row, index_t count, std::uint8_t* failed, const One& one,
                      const Checked*... checked) {
  const index_t begin = row * update_block;
  const index_t n = count - begin < update_block ? count - begin : update_block;
  team.for_each(n, [&](index_t i) { one(begin + i); });
  // v - v is 0 for a finite v and NaN otherwise.
  const float failures = team.max(
      n, [&](index_t i) { return (... + (checked[begin + i] - checked[begin + i])) == 0.0F ? 0.0F : 1.0F; });
  team.once([&] { failed[row] = failures > 0.0F ? 1 : 0; });
}

// beta * moment
SY_HD inline float decayed(float moment, float one_minus_beta) { return moment - one_minus_beta * moment; }

// The bias corrections are folded into two constants, so that an element takes one square root and one
// division: rate / c1 and 1 / sqrt(c2). Square root and division are rounded correctly everywhere (nvcc:
// without fast-math).
struct Adam {
  AdamStep step;
  float corrected_rate;       // rate / (1 - b1^t)
  float inverse_root_second;  // 1 / sqrt(1 - b2^t)
  float* w;
  const float* gradient;
  float* first_moment;
  float* second_moment;
  index_t count;
  std::uint8_t* failed;  // by row

  // An infinite first moment makes the weight infinite or NaN; an infinite second one hides itself.
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    update_row(
        team, row, count, failed, [this](index_t i) { update(i); }, w, second_moment);
  }

  SY_HD void update(index_t i) const {
    const float g = step.gradient_scale * gradient[i] + step.weight_decay * w[i];
    const float m = decayed(first_moment[i], step.one_minus_beta1) + step.one_minus_beta1 * g;
    const float v = decayed(second_moment[i], step.one_minus_beta2) + step.one_minus_beta2 * (g * g);
    first_moment[i] = m;
    second_moment[i] = v;
    w[i] -= corrected_rate * m / (std::sqrt(v) * inverse_root_second + step.epsilon);
  }
};

struct Sgd {
  SgdStep step;
  float* w;
  const float* gradient;
  float* velocity;
  index_t count;
  std::uint8_t* failed;  // by row

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    update_row(
        team, row, count, failed, [this](index_t i) { update(i); }, w, velocity);
  }

  SY_HD void update(index_t i) const {
    const float g = step.gradient_scale * gradient[i] + step.weight_decay * w[i];
    const float u = step.momentum * velocity[i] + g;
    velocity[i] = u;
    w[i] -= step.learning_rate * u;
  }
};

// Without momentum there is no velocity to keep.
struct PlainSgd {
  SgdStep step;
  float* w;
  const float* gradient;
  index_t count;
  std::uint8_t* failed;  // by row

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    update_row(
        team, row, count, failed, [this](index_t i) { update(i); }, w);
  }

  SY_HD void update(index_t i) const {
    w[i] -= step.learning_rate * (step.gradient_scale * gradient[i] + step.weight_decay * w[i]);
  }
};

}  // namespace switchyard::ops::kernels
