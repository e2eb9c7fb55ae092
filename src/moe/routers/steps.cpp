#include "moe/routers/steps.hpp"

#include "ops/moe/slots.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

ops::WeightSum weight_sum(const Options& options, index_t slots) {
  if (weighs_over_chosen(options)) return ops::WeightSum::slots;
  if (options.scores == GateScores::sigmoid) return ops::WeightSum::one;
  return slots > 1 && slots == options.experts ? ops::WeightSum::slots : ops::WeightSum::experts;
}

}  // namespace

Routing allocate_routing(const nn::Pass& pass, const RouterOptions& options) {
  device::Workspace& workspace = pass.workspace();
  const index_t slots = options.slots();
  const index_t rows = pass.tiles().local_rows();
  Routing routing;
  routing.samples = rows;
  routing.slots = slots;
  routing.is_dense = slots == options.experts;
  routing.experts = workspace.allocate<std::int32_t>(rows * slots);
  routing.weights = tensor::allocate_matrix(workspace, rows, slots);
  routing.log_weights = tensor::allocate_matrix(workspace, rows, slots);
  routing.factors = routing.weights;
  routing.scores = routing.noisy = tensor::allocate_matrix(workspace, rows, 0);
  return routing;
}

void take_all(device::Context& context, Routing& routing) {
  ops::take_all(context, routing.slots, routing.experts);
  routing.in_order_of_experts = routing.is_dense;
}

void allocate_weights(const nn::Pass& pass, const Options& options, Routing& routing) {
  routing.weight_sum = weight_sum(options, routing.slots);
  if (routing.slots == 1 && routing.weight_sum == ops::WeightSum::experts)
    routing.entropies = pass.workspace().allocate<double>(routing.samples);
  if (options.gate_value == GateValue::noisy_logit || options.scale != 1)
    routing.factors = tensor::allocate_matrix(pass.workspace(), routing.samples, routing.slots);
}

void weigh_by_scores(device::Context& context, const Options& options, const Routing& routing) {
  ops::gate_weights(
      context, routing.scores, routing.experts.data(),
      {.weights = routing.weights,
       .log_weights = routing.log_weights,
       .entropies = routing.entropies,
       .by_largest = routing.chosen_by.data == nullptr && routing.noisy.data == routing.scores.data,
       .sum = routing.weight_sum});
  if (options.gate_value == GateValue::noisy_logit) {
    ops::gather_scores(context, routing.noisy, routing.experts.data(), routing.slots, routing.factors);
  } else if (options.scale != 1) {
    ops::scale(context, routing.weights, static_cast<float>(options.scale), routing.factors);
  }
}

void backward_to_scores(const nn::Pass& pass, const Routing& routing, ops::GateMeasure measure,
                        tensor::ConstMatrix d_slots, const RegulariserGradients& regularisers,
                        tensor::Matrix d_scores) {
  const auto samples = static_cast<double>(pass.tiles().total_rows());
  ops::gate_backward(pass.context,
                     {.scores = routing.scores,
                      .experts = routing.experts.data(),
                      .weights = routing.weights,
                      .log_weights = routing.log_weights,
                      .sum = routing.weight_sum,
                      .measure = measure,
                      .d_slots = d_slots,
                      .importance = regularisers.importance,
                      .probability = regularisers.probability,
                      .sample_probability = regularisers.sample_probability,
                      .sample_scale = regularisers.sample_scale,
                      .z_loss = static_cast<float>(regularisers.z_loss / samples),
                      .entropy = static_cast<float>(regularisers.entropy / samples)},
                     d_scores);
  if (routing.logits.data != nullptr) ops::log_sigmoid_backward(pass.context, routing.logits, d_scores);
  if (!regularisers.load.empty()) {
    ops::expected_load_backward(pass.context, routing.expected_load(), regularisers.load, d_scores);
  }
}

}  // namespace switchyard::moe
