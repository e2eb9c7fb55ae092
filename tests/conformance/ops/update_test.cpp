#include "ops/update.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

constexpr int steps = 5;

// Parameters and their moments as a test has them; null where there are none.
struct Arrays {
  std::vector<float>& value;
  const std::vector<float>& gradient;
  std::vector<float>* first = nullptr;
  std::vector<float>* second = nullptr;
};

// All of it in pieces; whether one was marked as not finite.
bool update_pieces(device::Context& context, const Arrays& arrays, const StepScalars& scalars,
                   const auto& optimiser) {
  std::vector<UpdatePiece> pieces;
  const auto count = std::ssize(arrays.value);
  const void* const base = arrays.value.data();
  const auto from = [&](std::vector<float>* values, index_t begin) {
    return FromBase<float>(base, values == nullptr ? nullptr : values->data() + begin);
  };
  for (index_t begin = 0; begin < count; begin += update_piece) {
    pieces.push_back({.value = from(&arrays.value, begin),
                      .gradient = {base, arrays.gradient.data() + begin},
                      .first = from(arrays.first, begin),
                      .second = from(arrays.second, begin),
                      .count = static_cast<std::int32_t>(std::min(count - begin, update_piece)),
                      .group = 1,
                      .unit = 0});
  }
  std::vector<std::uint8_t> failed(static_cast<std::size_t>(failure_bytes(std::ssize(pieces))));
  const Update update{pieces, base, &scalars, failed.data()};
  if constexpr (std::is_same_v<decltype(optimiser), const Adam&>)
    adam_update(context, optimiser, update);
  else
    sgd_update(context, optimiser, update);
  std::int64_t any = 0;
  note_failures(context, failed, &any);
  return any != 0;
}

// The reference of each: reference::adam, reference::adamw.
void expect_adam_follows(Decay kind, decltype(reference::adam)& of_reference) {
  const double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 1e-2, scale = 0.5;
  for (const index_t count : edge_sizes) {
    const std::vector<float> start = random_values(count, 1);
    const auto gradient = [&](int t) { return random_values(count, 10 + static_cast<unsigned>(t)); };
    const auto weights = on_every_executor("adam_update", [&](device::Context& context) {
      std::vector<float> w = start, m(start.size()), v(start.size());
      for (int t = 1; t <= steps; ++t) {
        StepScalars scalars;
        scalars.given.rates[1] = {.rate = static_cast<float>(rate),
                                  .corrected_rate = static_cast<float>(rate / (1 - std::pow(beta1, t))),
                                  .weight_decay = static_cast<float>(decay),
                                  .decoupled_decay = static_cast<float>(rate * decay)};
        scalars.given.inverse_root_second = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, t)));
        scalars.agreed.gradient_scale = static_cast<float>(scale);
        update_pieces(context, {w, gradient(t), &m, &v}, scalars,
                      Adam{.one_minus_beta1 = static_cast<float>(1 - beta1),
                           .one_minus_beta2 = static_cast<float>(1 - beta2),
                           .epsilon = static_cast<float>(epsilon),
                           .decay = kind});
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

StepScalars of_sgd(double rate, double decay, double scale) {
  StepScalars scalars;
  scalars.given.rates[1] = {.rate = static_cast<float>(rate),
                            .corrected_rate = 0,
                            .weight_decay = static_cast<float>(decay),
                            .decoupled_decay = 0};
  scalars.agreed.gradient_scale = static_cast<float>(scale);
  return scalars;
}

TEST(SgdUpdate, follows_the_reference_for_some_steps) {
  const double rate = 0.1, momentum = 0.9, decay = 1e-2, scale = 0.5;
  for (const index_t count : edge_sizes) {
    const std::vector<float> start = random_values(count, 1);
    const auto gradient = [&](int t) { return random_values(count, 10 + static_cast<unsigned>(t)); };
    const auto weights = on_every_executor("sgd_update", [&](device::Context& context) {
      std::vector<float> w = start, u(start.size());
      const StepScalars scalars = of_sgd(rate, decay, scale);
      for (int t = 1; t <= steps; ++t)
        update_pieces(context, {w, gradient(t), &u}, scalars, Sgd{static_cast<float>(momentum)});
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
  const StepScalars scalars = of_sgd(0.1, 1e-2, 0.5);
  const std::vector<float> start = random_values(33, 1), gradient = random_values(33, 2);
  const auto update = [&](bool has_velocity) {
    return on_every_executor("sgd_update", [&](device::Context& context) {
      std::vector<float> w = start, u(start.size());
      update_pieces(context, {w, gradient, has_velocity ? &u : nullptr}, scalars, Sgd{0.0F});
      return w;
    });
  };
  EXPECT_TRUE(same_bits(update(false), update(true)));
}

TEST(SgdUpdate, scales_by_the_unit_or_leaves_it) {
  const StepScalars scalars = of_sgd(0.1, 1e-2, 0.5);
  const std::vector<float> start = random_values(33, 1), gradient = random_values(33, 2);
  const auto update = [&](const float* unit_scale) {
    return on_every_executor("sgd_update", [&](device::Context& context) {
      std::vector<float> w = start;
      update_pieces(context, {w, gradient}, scalars, Sgd{0.0F, unit_scale});
      return w;
    });
  };
  const float half = 0.5F, none = -1.0F;
  EXPECT_TRUE(same_bits(update(&half), update(nullptr)));
  EXPECT_TRUE(same_bits(update(&none), start));
}

// More pieces than a word of marks has, and one of them at its end.
TEST(Update, of_a_step_that_is_not_finite_changes_nothing_and_one_that_fails_is_noted) {
  const std::vector<float> start = random_values(20 * update_piece + 5, 1);
  std::vector<float> gradient = random_values(std::ssize(start), 2);
  device::Context context(2);
  StepScalars scalars = of_sgd(0.1, 1e-2, 0.5);
  std::vector<float> w = start;
  EXPECT_FALSE(update_pieces(context, {w, gradient}, scalars, Sgd{0.0F}));
  EXPECT_FALSE(same_bits(w, start));
  gradient.back() = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(update_pieces(context, {w, gradient}, scalars, Sgd{0.0F}));
  w = start;
  scalars.agreed.is_finite = 0;
  EXPECT_FALSE(update_pieces(context, {w, gradient}, scalars, Sgd{0.0F}));
  EXPECT_TRUE(same_bits(w, start));
}

}  // namespace
}  // namespace switchyard::ops
