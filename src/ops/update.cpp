#include "ops/update.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/row_results.hpp"

namespace switchyard::ops {
namespace kernels {

// Elementwise, in rows of as many elements: small enough to be in cache still when the row is looked through
// for what is not finite.
constexpr index_t update_block = 1024;

// A row of an update: `one(i)` for its elements; then failed[row] = 1 if one of `checked` is NaN or infinite
// there, else 0.
template <class Team, class One, class... Checked>
SY_HD void update_row(const Team& team, index_t row, index_t count, std::uint8_t* failed, const One& one,
                      const Checked*... checked) {
  const index_t begin = row * update_block;
  const index_t n = count - begin < update_block ? count - begin : update_block;
  team.for_each(n, [&](index_t i) { one(begin + i); });
  // v - v is 0 for a finite v and NaN otherwise. NOLINTBEGIN(misc-redundant-expression)
  const float failures = team.max(
      n, [&](index_t i) { return (... + (checked[begin + i] - checked[begin + i])) == 0.0F ? 0.0F : 1.0F; });
  // NOLINTEND(misc-redundant-expression)
  team.once([&] { failed[row] = failures > 0.0F ? 1 : 0; });
}

// beta * moment
SY_HD inline float decayed(float moment, float one_minus_beta) { return moment - one_minus_beta * moment; }

// The bias corrections are folded into two constants, so that an element takes one square root and one
// division: rate / c1 and 1 / sqrt(c2). Square root and division are rounded correctly everywhere (nvcc:
// without fast-math).
template <Decay decay>
struct Adam {
  AdamStep step;
  float corrected_rate;       // rate / (1 - b1^t)
  float inverse_root_second;  // 1 / sqrt(1 - b2^t)
  float decoupled_decay;      // rate * decay
  float* w;
  const float* gradient;
  float* first_moment;
  float* second_moment;
  index_t count;
  std::uint8_t* failed = nullptr;  // by row

  // An infinite first moment makes the weight infinite or NaN; an infinite second one hides itself.
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    update_row(
        team, row, count, failed, [this](index_t i) { update(i); }, w, second_moment);
  }

  SY_HD void update(index_t i) const {
    float g = step.gradient_scale * gradient[i];
    if constexpr (decay == Decay::l2) g += step.weight_decay * w[i];
    const float m = decayed(first_moment[i], step.one_minus_beta1) + step.one_minus_beta1 * g;
    const float v = decayed(second_moment[i], step.one_minus_beta2) + step.one_minus_beta2 * (g * g);
    first_moment[i] = m;
    second_moment[i] = v;
    float change = corrected_rate * m / (std::sqrt(v) * inverse_root_second + step.epsilon);
    if constexpr (decay == Decay::decoupled) change += decoupled_decay * w[i];
    w[i] -= change;
  }
};

struct Sgd {
  SgdStep step;
  float* w;
  const float* gradient;
  float* velocity;
  index_t count;
  std::uint8_t* failed = nullptr;  // by row

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
  std::uint8_t* failed = nullptr;  // by row

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    update_row(
        team, row, count, failed, [this](index_t i) { update(i); }, w);
  }

  SY_HD void update(index_t i) const {
    w[i] -= step.learning_rate * (step.gradient_scale * gradient[i] + step.weight_decay * w[i]);
  }
};

}  // namespace kernels
namespace {

// Whether all that the kernel updated is finite.
bool run(device::Context& context, auto kernel) {
  static thread_local detail::RowResults<std::uint8_t> failed;
  const index_t rows = (kernel.count + kernels::update_block - 1) / kernels::update_block;
  kernel.failed = failed.places(context, rows);
  device::for_each_row(context, rows, kernel);
  return std::ranges::none_of(failed.read(context, rows), [](std::uint8_t row) { return row != 0; });
}

template <Decay decay>
bool run_adam(device::Context& context, const AdamStep& step, Span<float> w, Span<const float> gradient,
              AdamMoments moments) {
  const double corrected_rate = step.learning_rate / step.bias_correction1;
  const double inverse_root = 1.0 / std::sqrt(step.bias_correction2);
  const double decoupled_decay = step.learning_rate * static_cast<double>(step.weight_decay);
  return run(context,
             kernels::Adam<decay>{step, static_cast<float>(corrected_rate), static_cast<float>(inverse_root),
                                  static_cast<float>(decoupled_decay), w.data(), gradient.data(),
                                  moments.first.data(), moments.second.data(), std::ssize(w)});
}

}  // namespace

bool adam_update(device::Context& context, const AdamStep& step, Span<float> w, Span<const float> gradient,
                 AdamMoments moments) {
  SY_EXPECTS(
      gradient.size() == w.size() && moments.first.size() == w.size() && moments.second.size() == w.size(),
      "{} weights, {} gradients, {} first and {} second moments", w.size(), gradient.size(),
      moments.first.size(), moments.second.size());
  SY_EXPECTS(step.bias_correction1 > 0 && step.bias_correction2 > 0,
             "bias corrections {} and {}; steps count from 1", step.bias_correction1, step.bias_correction2);
  return step.decay == Decay::l2 ? run_adam<Decay::l2>(context, step, w, gradient, moments)
                                 : run_adam<Decay::decoupled>(context, step, w, gradient, moments);
}

bool sgd_update(device::Context& context, const SgdStep& step, Span<float> w, Span<const float> gradient,
                Span<float> velocity) {
  const bool plain = velocity.empty() && step.momentum == 0.0F;
  SY_EXPECTS(gradient.size() == w.size() && (plain || velocity.size() == w.size()),
             "{} weights, {} gradients, {} velocities", w.size(), gradient.size(), velocity.size());
  if (plain) return run(context, kernels::PlainSgd{step, w.data(), gradient.data(), std::ssize(w)});
  return run(context, kernels::Sgd{step, w.data(), gradient.data(), velocity.data(), std::ssize(w)});
}

}  // namespace switchyard::ops
