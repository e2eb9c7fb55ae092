#include "ops/update.hpp"

#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

constexpr int steps = 5;

// The reference of each: reference::adam, reference::adamw.
void expect_adam_follows(Decay kind, decltype(reference::adam)& of_reference) {
  const double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 1e-2, scale = 0.5;
  for (const index_t count : edge_sizes) {
    const std::vector<float> start = random_values(count, 1);
    const auto gradient = [&](int t) { return random_values(count, 10 + static_cast<unsigned>(t)); };
    const auto weights = on_every_executor("adam_update", [&](device::Context& context) {
      std::vector<float> w = start, m(start.size()), v(start.size());
      for (int t = 1; t <= steps; ++t) {
        const AdamStep step{.learning_rate = rate,
                            .one_minus_beta1 = static_cast<float>(1 - beta1),
                            .one_minus_beta2 = static_cast<float>(1 - beta2),
                            .epsilon = static_cast<float>(epsilon),
                            .weight_decay = static_cast<float>(decay),
                            .gradient_scale = static_cast<float>(scale),
                            .bias_correction1 = 1 - std::pow(beta1, t),
                            .bias_correction2 = 1 - std::pow(beta2, t),
                            .decay = kind};
        adam_update(context, step, w, gradient(t), {m, v});
      }
      return w;
    });
    for (std::size_t i = 0; i < start.size(); ++i) {
      reference::AdamState s{static_cast<double>(start[i]), 0, 0};
      for (int t = 1; t <= steps; ++t) {
        s = of_reference(s, static_cast<double>(gradient(t)[i]), rate, beta1, beta2, epsilon, decay, scale, t);
      }
      // Each step moves w by at most about `rate`, with a few roundings of it and one of w.
      EXPECT_NEAR(static_cast<double>(weights[i]), s.w, steps * (rate * 1e-6 + 0x1p-24 * std::abs(s.w)));
    }
  }
}

TEST(AdamUpdate, follows_the_reference_for_some_steps) { expect_adam_follows(Decay::l2, reference::adam); }
TEST(AdamUpdate, with_decoupled_decay_follows_that_of_adamw) {
  expect_adam_follows(Decay::decoupled, reference::adamw);
}

TEST(SgdUpdate, follows_the_reference_for_some_steps) {
  const double rate = 0.1, momentum = 0.9, decay = 1e-2, scale = 0.5;
  for (const index_t count : edge_sizes) {
    const std::vector<float> start = random_values(count, 1);
    const auto gradient = [&](int t) { return random_values(count, 10 + static_cast<unsigned>(t)); };
    const auto weights = on_every_executor("sgd_update", [&](device::Context& context) {
      std::vector<float> w = start, u(start.size());
      const SgdStep step{.learning_rate = static_cast<float>(rate),
                         .momentum = static_cast<float>(momentum),
                         .weight_decay = static_cast<float>(decay),
                         .gradient_scale = static_cast<float>(scale)};
      for (int t = 1; t <= steps; ++t) sgd_update(context, step, w, gradient(t), u);
      return w;
    });
    for (std::size_t i = 0; i < start.size(); ++i) {
      reference::SgdState s{static_cast<double>(start[i]), 0};
      for (int t = 1; t <= steps; ++t)
        s = reference::sgd(s, static_cast<double>(gradient(t)[i]), rate, momentum, decay, scale);
      EXPECT_NEAR(static_cast<double>(weights[i]), s.w, 1e-6);  // a few roundings of values near 1 per step
    }
  }
}

TEST(SgdUpdate, without_momentum_needs_no_velocity) {
  const SgdStep step{.learning_rate = 0.1F, .momentum = 0.0F, .weight_decay = 1e-2F, .gradient_scale = 0.5F};
  const std::vector<float> start = random_values(33, 1), gradient = random_values(33, 2);
  const auto update = [&](std::size_t velocities) {
    return on_every_executor("sgd_update", [&](device::Context& context) {
      std::vector<float> w = start, u(velocities);
      sgd_update(context, step, w, gradient, u);
      return w;
    });
  };
  EXPECT_TRUE(same_bits(update(0), update(33)));
  device::Context context(1);
  std::vector<float> w = start, none;
  SgdStep with_momentum = step;
  with_momentum.momentum = 0.9F;
  EXPECT_THROW(sgd_update(context, with_momentum, w, gradient, none), ContractViolation);
}

TEST(AdamUpdate, refuses_arrays_of_different_length_and_a_step_zero) {
  device::Context context(1);
  std::vector<float> three(3), four(4);
  AdamStep step{1e-3, 0.1F, 0.001F, 1e-8F, 0.0F, 1.0F, 0.1, 0.001};
  EXPECT_THROW(adam_update(context, step, three, four, {three, three}), ContractViolation);
  step.bias_correction1 = 0.0;
  EXPECT_THROW(adam_update(context, step, three, three, {three, three}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
