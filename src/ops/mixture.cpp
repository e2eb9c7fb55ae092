#include "ops/mixture.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/mixture.hpp"

namespace switchyard::ops {
namespace {

void expect_shape(const char* what, tensor::ConstMatrix m, index_t rows, index_t cols) {
  SY_EXPECTS(m.rows == rows && m.cols == cols, "{} is {} x {}, not {} x {}", what, m.rows, m.cols, rows, cols);
}

void expect_slots(index_t slots, index_t experts) {
  SY_EXPECTS(slots >= 1 && slots <= experts, "{} slots for {} experts", slots, experts);
}

}  // namespace

void gate_weights(device::Context& context, tensor::ConstMatrix gate_logits, const std::int32_t* experts,
                  index_t slots, tensor::Matrix weights, tensor::Matrix log_weights) {
  expect_slots(slots, gate_logits.cols);
  expect_shape("weights", weights, gate_logits.rows, slots);
  expect_shape("log_weights", log_weights, gate_logits.rows, slots);
  device::for_each_row(context, gate_logits.rows,
                       kernels::GateWeights{gate_logits, experts, slots, weights, log_weights});
}

void mixture_forward(device::Context& context, const MixtureBatch& batch, tensor::ConstMatrix log_weights,
                     const MixtureOutput& output) {
  const index_t samples = batch.gate_logits.rows;
  expect_slots(batch.slots, batch.gate_logits.cols);
  SY_EXPECTS(batch.classes >= 1, "{} classes", batch.classes);
  expect_shape("log_weights", log_weights, samples, batch.slots);
  expect_shape("posteriors", output.posteriors, samples, batch.slots);
  if (output.probabilities.data != nullptr)
    expect_shape("probabilities", output.probabilities, samples, batch.classes);
  SY_EXPECTS(static_cast<index_t>(output.losses.size()) == samples &&
                 static_cast<index_t>(output.predicted.size()) == samples,
             "{} losses and {} predictions for {} samples", output.losses.size(), output.predicted.size(),
             samples);
  device::for_each_row(context, samples, kernels::MixtureForward{batch, log_weights, output});
}

void mixture_backward(device::Context& context, const MixtureBatch& batch, tensor::ConstMatrix weights,
                      tensor::ConstMatrix posteriors, float scale, std::span<const double> importance_gradient,
                      const MixtureGradient& gradient) {
  const index_t samples = batch.gate_logits.rows;
  const index_t experts = batch.gate_logits.cols;
  expect_slots(batch.slots, experts);
  expect_shape("weights", weights, samples, batch.slots);
  expect_shape("posteriors", posteriors, samples, batch.slots);
  expect_shape("d_logits", gradient.d_logits, samples, experts);
  SY_EXPECTS(importance_gradient.empty() || static_cast<index_t>(importance_gradient.size()) == experts,
             "{} importance gradients for {} experts", importance_gradient.size(), experts);
  const double* const importance = importance_gradient.empty() ? nullptr : importance_gradient.data();
  device::for_each_row(context, samples,
                       kernels::MixtureBackward{batch, weights, posteriors, scale, importance, gradient});
}

void entropy_rows(device::Context& context, tensor::ConstMatrix weights, std::span<double> entropies) {
  SY_EXPECTS(static_cast<index_t>(entropies.size()) == weights.rows, "{} entropies for {} rows",
             entropies.size(), weights.rows);
  device::for_each_row(context, weights.rows, kernels::EntropyOfRow{weights, entropies.data()});
}

}  // namespace switchyard::ops
