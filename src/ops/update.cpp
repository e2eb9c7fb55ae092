#include "ops/update.hpp"

#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/update.hpp"

namespace switchyard::ops {

void adam_update(device::Context& context, const AdamStep& step, std::span<float> w,
                 std::span<const float> gradient, std::span<float> first_moment,
                 std::span<float> second_moment) {
  SY_EXPECTS(gradient.size() == w.size() && first_moment.size() == w.size() && second_moment.size() == w.size(),
             "{} weights, {} gradients, {} first and {} second moments", w.size(), gradient.size(),
             first_moment.size(), second_moment.size());
  SY_EXPECTS(step.bias_correction1 > 0 && step.bias_correction2 > 0,
             "bias corrections {} and {}; steps count from 1", step.bias_correction1, step.bias_correction2);
  const double corrected_rate = step.learning_rate / step.bias_correction1;
  const double inverse_root = 1.0 / std::sqrt(step.bias_correction2);
  device::for_each(context, static_cast<index_t>(w.size()),
                   kernels::Adam{step, static_cast<float>(corrected_rate), static_cast<float>(inverse_root),
                                 w.data(), gradient.data(), first_moment.data(), second_moment.data()});
}

void sgd_update(device::Context& context, const SgdStep& step, std::span<float> w,
                std::span<const float> gradient, std::span<float> velocity) {
  const bool plain = velocity.empty() && step.momentum == 0.0F;
  SY_EXPECTS(gradient.size() == w.size() && (plain || velocity.size() == w.size()),
             "{} weights, {} gradients, {} velocities", w.size(), gradient.size(), velocity.size());
  if (plain) {
    return device::for_each(context, static_cast<index_t>(w.size()),
                            kernels::PlainSgd{step, w.data(), gradient.data()});
  }
  device::for_each(context, static_cast<index_t>(w.size()),
                   kernels::Sgd{step, w.data(), gradient.data(), velocity.data()});
}

}  // namespace switchyard::ops
