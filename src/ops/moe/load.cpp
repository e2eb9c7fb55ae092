#include "ops/moe/load.hpp"

#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/load.hpp"

namespace switchyard::ops {
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

void add_expected_load(device::Context& context, const ExpectedLoad& load, Span<double> sums) {
  expect_load(load, std::ssize(sums));
  device::for_each_row(context, 1, kernels::AddExpectedLoad{load, sums.data()});
}

void expected_load_backward(device::Context& context, const ExpectedLoad& load, Span<const double> gradient,
                            tensor::Matrix d_scores) {
  expect_load(load, std::ssize(gradient));
  detail::expect_shape("d_scores", d_scores, load.clean.rows, load.clean.cols);
  device::for_each_row(context, load.clean.rows,
                       kernels::ExpectedLoadBackward{load, gradient.data(), d_scores});
}

}  // namespace switchyard::ops
