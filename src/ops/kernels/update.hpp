// Elementwise kernels of ops/update.hpp.
#pragma once

#include <cmath>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "ops/update.hpp"

namespace switchyard::ops::kernels {

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

  SY_HD void operator()(index_t i) const {
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

  SY_HD void operator()(index_t i) const {
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

  SY_HD void operator()(index_t i) const {
    w[i] -= step.learning_rate * (step.gradient_scale * gradient[i] + step.weight_decay * w[i]);
  }
};

}  // namespace switchyard::ops::kernels
