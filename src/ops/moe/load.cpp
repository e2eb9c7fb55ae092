#include "ops/moe/load.hpp"

#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/math.hpp"

namespace switchyard::ops {
namespace kernels {

// What one sample's experts have to beat. Top-k orders by falling score, ties to the lower expert.
struct LoadThresholds {
  const float* clean;
  const float* noisy;
  float deviation;
  std::int32_t last;  // the K-th choice: the threshold of experts that were not chosen
  std::int32_t next;  // the best of those: the threshold of the chosen

  // The same on every thread.
  template <class Team>
  SY_HD LoadThresholds(const Team& team, const ExpectedLoad& load, index_t row)
      : clean(load.clean.row(row)),
        noisy(load.noisy.row(row)),
        deviation(load.deviation),
        last(load.experts[(row + 1) * load.slots - 1]) {
    const index_t n = load.noisy.cols;
    const float none = -__builtin_inff();
    const float best = team.max(n, [&](index_t e) { return is_chosen(e) ? none : noisy[e]; });
    const float place = -team.max(
        n, [&](index_t e) { return !is_chosen(e) && noisy[e] == best ? -static_cast<float>(e) : none; });
    // Only scores that are no numbers leave nobody; the run then ends with an error.
    next = place < static_cast<float>(n) ? static_cast<std::int32_t>(place) : last;
  }

  SY_HD bool is_chosen(index_t e) const {
    return !(noisy[e] < noisy[last] || (noisy[e] == noisy[last] && e > last));
  }
  // (c_e - z_t) / s
  SY_HD float distance(index_t e) const { return (clean[e] - noisy[is_chosen(e) ? next : last]) / deviation; }
};

struct ExpectedLoadOfRow {
  ExpectedLoad load;
  tensor::Matrix chances;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const LoadThresholds of(team, load, row);
    float* const out = chances.row(row);
    team.for_each(load.clean.cols, [&](index_t e) { out[e] = normal_cdf(of.distance(e)); });
  }
};

struct ExpectedLoadBackward {
  ExpectedLoad load;
  const double* gradient;  // [E]
  tensor::Matrix d_scores;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const LoadThresholds of(team, load, row);
    const index_t n = load.clean.cols;
    float* const d = d_scores.row(row);
    const auto slope = [&](index_t e) {
      return static_cast<float>(gradient[e]) * (normal_density(of.distance(e)) / load.deviation);
    };
    const float of_chosen = team.sum(n, [&](index_t e) { return of.is_chosen(e) ? slope(e) : 0.0F; });
    const float of_others = team.sum(n, [&](index_t e) { return of.is_chosen(e) ? 0.0F : slope(e); });
    team.for_each(n, [&](index_t e) {
      const float through_threshold = (e == of.next ? of_chosen : 0.0F) + (e == of.last ? of_others : 0.0F);
      d[e] += slope(e) - through_threshold;
    });
  }
};

}  // namespace kernels
namespace {

void expect_load(const ExpectedLoad& load, index_t values) {
  const index_t experts = load.clean.cols;
  detail::expect_shape("noisy", load.noisy, load.clean.rows, experts);
  // Thresholds carry places as float.
  SY_EXPECTS(load.slots >= 1 && load.slots < experts && experts <= index_t{1} << 24, "{} slots for {} experts",
             load.slots, experts);
  SY_EXPECTS(load.deviation > 0.0F, "noise with a standard deviation of {}", load.deviation);
  SY_EXPECTS(values == experts, "{} values for {} experts", values, experts);
}

}  // namespace

void expected_load(device::Context& context, const ExpectedLoad& load, tensor::Matrix chances) {
  expect_load(load, chances.cols);
  detail::expect_shape("chances", chances, load.clean.rows, load.clean.cols);
  device::for_each_row(context, load.clean.rows, kernels::ExpectedLoadOfRow{load, chances});
}

void expected_load_backward(device::Context& context, const ExpectedLoad& load, Span<const double> gradient,
                            tensor::Matrix d_scores) {
  expect_load(load, std::ssize(gradient));
  detail::expect_shape("d_scores", d_scores, load.clean.rows, load.clean.cols);
  device::for_each_row(context, load.clean.rows,
                       kernels::ExpectedLoadBackward{load, gradient.data(), d_scores});
}

}  // namespace switchyard::ops
