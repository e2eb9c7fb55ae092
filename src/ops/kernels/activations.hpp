// Activations with their derivatives, elementwise.
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/math.hpp"
#include "ops/patch_filters.hpp"

namespace switchyard::ops::kernels {

struct Identity {
  SY_HD float value(float z) const { return z; }
  SY_HD float derivative(float) const { return 1.0F; }
};

struct Relu {
  SY_HD float value(float z) const { return z <= 0.0F ? 0.0F : z; }  // a NaN stays one
  SY_HD float derivative(float z) const { return z > 0.0F ? 1.0F : 0.0F; }
};

struct Cubic {
  SY_HD float value(float z) const { return z * z * z; }
  SY_HD float derivative(float z) const { return 3.0F * (z * z); }
};

// max(0, z) + min(0, e^z - 1)
struct Celu {
  SY_HD float value(float z) const {
    const float below = exp(z) - 1.0F;
    return z > 0.0F ? z : below;
  }
  SY_HD float derivative(float z) const {
    const float below = exp(z);
    return z > 0.0F ? 1.0F : below;
  }
};

// 1 - 2 / (e^2z + 1): within 1.2e-7 of tanh everywhere, and its limits are exact. The relative error near zero
// does not matter where values are added up.
SY_HD inline float tanh_of(float z) { return 1.0F - 2.0F / (exp(2.0F * z) + 1.0F); }

struct Tanh {
  SY_HD float value(float z) const { return tanh_of(z); }
  SY_HD float derivative(float z) const {
    const float t = tanh_of(z);
    return 1.0F - t * t;
  }
};

// z (1 + tanh u) / 2 with u = sqrt(2 / pi) (z + 0.044715 z^3)
struct Gelu {
  static constexpr float root = 0.7978845608028654F;  // sqrt(2 / pi)
  static constexpr float cube = 0.044715F;
  SY_HD float value(float z) const { return 0.5F * z * (1.0F + tanh_of(root * (z + cube * (z * z * z)))); }
  SY_HD float derivative(float z) const {
    const float t = tanh_of(root * (z + cube * (z * z * z)));
    const float slope = root * (1.0F + 3.0F * cube * (z * z));
    return 0.5F * (1.0F + t) + 0.5F * z * (1.0F - t * t) * slope;
  }
};

// f(Relu{}) and so on: the choice is made once, outside the loops, and f is a loop that vectorises.
template <class F>
SY_HD void with_activation(PatchActivation activation, const F& f) {
  switch (activation) {
    case PatchActivation::none:
      return f(Identity{});
    case PatchActivation::relu:
      return f(Relu{});
    case PatchActivation::cubic:
      return f(Cubic{});
    case PatchActivation::celu:
      return f(Celu{});
    case PatchActivation::gelu:
      return f(Gelu{});
    case PatchActivation::tanh:
      return f(Tanh{});
  }
}

}  // namespace switchyard::ops::kernels
