#include "ops/moe/gaussian.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/gaussian.hpp"

namespace switchyard::ops {
namespace {

using detail::expect_shape;

void expect_batch(const GaussianBatch& batch) {
  SY_EXPECTS(batch.slots >= 1, "{} slots", batch.slots);
  SY_EXPECTS(batch.deviation > 0, "a deviation of {}", batch.deviation);
  expect_shape("log_weights", batch.log_weights, batch.targets.rows, batch.slots);
}

}  // namespace

void gaussian_forward(device::Context& context, const GaussianBatch& batch, const GaussianOutput& output) {
  const index_t samples = batch.targets.rows;
  expect_batch(batch);
  expect_shape("posteriors", output.posteriors, samples, batch.slots);
  expect_shape("mean", output.mean, samples, batch.targets.cols);
  SY_EXPECTS(std::ssize(output.losses) == samples, "{} losses for {} samples", output.losses.size(), samples);
  device::for_each_row(context, samples, kernels::GaussianForward{batch, output});
}

void gaussian_backward(device::Context& context, const GaussianBatch& batch, tensor::ConstMatrix posteriors,
                       float scale, const GaussianGradient& gradient) {
  const index_t samples = batch.targets.rows;
  expect_batch(batch);
  expect_shape("posteriors", posteriors, samples, batch.slots);
  expect_shape("d_log_weights", gradient.d_log_weights, samples, batch.slots);
  device::for_each_row(context, samples, kernels::GaussianBackward{batch, posteriors, scale, gradient});
}

}  // namespace switchyard::ops
