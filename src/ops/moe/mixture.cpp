#include "ops/moe/mixture.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/mixture.hpp"

namespace switchyard::ops {
namespace {
using detail::expect_shape;

void expect_losses(Span<const float> losses, index_t samples) {
  SY_EXPECTS(std::ssize(losses) == samples, "{} losses for {} samples", losses.size(), samples);
}

}  // namespace

void mixture_forward(device::Context& context, const MixtureBatch& batch, tensor::ConstMatrix log_weights,
                     const MixtureOutput& output) {
  const index_t samples = batch.samples;
  SY_EXPECTS(batch.slots >= 1, "{} slots", batch.slots);
  SY_EXPECTS(batch.classes >= 1, "{} classes", batch.classes);
  expect_shape("log_weights", log_weights, samples, batch.slots);
  expect_shape("posteriors", output.posteriors, samples, batch.slots);
  SY_EXPECTS(batch.expert_temperature > 0, "a temperature of {}", batch.expert_temperature);
  if (batch.expert_temperature != 1.0F)
    expect_shape("expert_posteriors", output.expert_posteriors, samples, batch.slots);
  if (output.probabilities.data != nullptr)
    expect_shape("probabilities", output.probabilities, samples, batch.classes);
  SY_EXPECTS(std::ssize(output.losses) == samples && std::ssize(output.predicted) == samples,
             "{} losses and {} predictions for {} samples", output.losses.size(), output.predicted.size(),
             samples);
  device::for_each_row(context, samples, kernels::MixtureForward{batch, log_weights, output});
}

void answer_losses(device::Context& context, const MixtureBatch& batch, tensor::ConstMatrix log_weights,
                   Span<float> losses) {
  expect_shape("log_weights", log_weights, batch.samples, batch.slots);
  expect_losses(losses, batch.samples);
  device::for_each_row(context, batch.samples, kernels::AnswerLosses{batch, log_weights, losses.data()});
}

void mixture_backward(device::Context& context, const MixtureBatch& batch, const Posteriors& posteriors,
                      float scale, const MixtureGradient& gradient) {
  expect_shape("posteriors", posteriors.of_weights, batch.samples, batch.slots);
  expect_shape("posteriors of experts", posteriors.of_experts, batch.samples, batch.slots);
  expect_shape("d_log_weights", gradient.d_log_weights, batch.samples, batch.slots);
  device::for_each_row(context, batch.samples, kernels::MixtureBackward{batch, posteriors, scale, gradient});
}

void add_prediction_errors(device::Context& context, const MixtureBatch& batch, tensor::ConstMatrix scores,
                           Span<float> losses) {
  expect_shape("scores", scores, batch.samples, batch.slots);
  expect_losses(losses, batch.samples);
  device::for_each_row(context, batch.samples, kernels::AddPredictionErrors{batch, scores, losses.data()});
}

void prediction_error_backward(device::Context& context, const MixtureBatch& batch, tensor::ConstMatrix scores,
                               float scale, tensor::Matrix d_scores) {
  expect_shape("scores", scores, batch.samples, batch.slots);
  expect_shape("d_scores", d_scores, batch.samples, batch.slots);
  device::for_each_row(context, batch.samples,
                       kernels::PredictionErrorBackward{batch, scores, scale, d_scores});
}

}  // namespace switchyard::ops
