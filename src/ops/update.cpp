#include "ops/update.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/row_results.hpp"
#include "ops/kernels/update.hpp"

namespace switchyard::ops {
namespace {

// Runs the kernel that `make` gives for `count` elements; whether all that it updated is finite.
template <class Make>
bool run(device::Context& context, index_t count, const Make& make) {
  static thread_local detail::RowResults<std::uint8_t> failed;
  const index_t rows = (count + kernels::update_block - 1) / kernels::update_block;
  device::for_each_row(context, rows, make(count, failed.places(context, rows)));
  return std::ranges::none_of(failed.read(context, rows), [](std::uint8_t row) { return row != 0; });
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
  const double corrected_rate = step.learning_rate / step.bias_correction1;
  const double inverse_root = 1.0 / std::sqrt(step.bias_correction2);
  return run(context, std::ssize(w), [&](index_t count, std::uint8_t* failed) {
    return kernels::Adam{step,
                         static_cast<float>(corrected_rate),
                         static_cast<float>(inverse_root),
                         w.data(),
                         gradient.data(),
                         moments.first.data(),
                         moments.second.data(),
                         count,
                         failed};
  });
}

bool sgd_update(device::Context& context, const SgdStep& step, Span<float> w, Span<const float> gradient,
                Span<float> velocity) {
  const bool plain = velocity.empty() && step.momentum == 0.0F;
  SY_EXPECTS(gradient.size() == w.size() && (plain || velocity.size() == w.size()),
             "{} weights, {} gradients, {} velocities", w.size(), gradient.size(), velocity.size());
  const auto count = std::ssize(w);
  if (plain) {
    return run(context, count, [&](index_t n, std::uint8_t* failed) {
      return kernels::PlainSgd{step, w.data(), gradient.data(), n, failed};
    });
  }
  return run(context, count, [&](index_t n, std::uint8_t* failed) {
    return kernels::Sgd{step, w.data(), gradient.data(), velocity.data(), n, failed};
  });
}

}  // namespace switchyard::ops
