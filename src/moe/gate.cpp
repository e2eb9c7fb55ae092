#include "moe/gate.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

void fill(tensor::Matrix m, float value) { std::fill_n(m.data, m.rows * m.cols, value); }

}  // namespace

index_t GateOptions::slots() const {
  if (kind == GateKind::by_label) return 1;
  return top_k == 0 ? experts : top_k;
}

Gate::Gate(const nn::NetworkShape& shape, const GateOptions& gate, const nn::NetworkOptions& options,
           nn::NetworkGradient::Sharing sharing, std::uint64_t seed)
    : options_(gate),
      seed_(seed),
      network_({"gate"}, shape, options, seed),
      gradient_(network_, sharing),
      slots_(gate.slots()) {}

tensor::ConstMatrix Gate::add_noise(const nn::Pass& pass, tensor::ConstMatrix logits) const {
  const bool wanted =
      options_.noise != GateNoise::none && (pass.is_training() || options_.noise_when == NoiseWhen::always);
  if (!wanted) return logits;
  const nn::Batch& samples = pass.batch;
  const std::uint32_t step = options_.noise_draw == NoiseDraw::once ? 0 : samples.step;
  const tensor::Matrix noisy = tensor::allocate_matrix(pass.workspace(), logits.rows, logits.cols);
  const bool normal = options_.noise == GateNoise::normal;
  ops::add_noise(pass.context, logits, samples.ids,
                 {.spread = normal ? ops::NoiseSpread::normal : ops::NoiseSpread::uniform,
                  .scale = static_cast<float>(options_.noise_scale),
                  .key = {seed_, step, samples.stream}},
                 noisy);
  return noisy;
}

void Gate::choose(const nn::Pass& pass, Routing& routing) const {
  if (options_.kind == GateKind::by_label) {
    const Span<const std::int32_t> labels = pass.batch.labels;
    SY_EXPECTS(labels.size() == routing.experts.size(), "{} labels for {} samples", labels.size(),
               routing.experts.size());
    for (std::size_t n = 0; n < routing.experts.size(); ++n)
      routing.experts[n] = options_.expert_of_label[labels[n]];
  } else if (options_.kind != GateKind::network || options_.top_k == 0) {
    for (index_t i = 0; i < std::ssize(routing.experts); ++i)
      routing.experts[i] = static_cast<std::int32_t>(i % slots_);
  } else {
    ops::top_k(pass.context, routing.noisy, slots_, routing.experts.data());
  }
}

Routing Gate::route(const nn::Pass& pass) {
  device::Workspace& workspace = pass.workspace();
  const index_t rows = pass.tiles().local_rows();
  Routing routing;
  routing.samples = rows;
  routing.slots = slots_;
  routing.experts = workspace.allocate<std::int32_t>(rows * slots_);
  routing.weights = tensor::allocate_matrix(workspace, rows, slots_);
  routing.log_weights = tensor::allocate_matrix(workspace, rows, slots_);
  routing.factors = routing.weights;
  routing.scores = routing.noisy = tensor::allocate_matrix(workspace, rows, 0);
  if (has_network()) network_.forward(pass, record_);
  switch (options_.kind) {
    case GateKind::network: {
      const tensor::ConstMatrix logits = record_.layers.back().output;
      routing.clean = logits;
      routing.noisy = add_noise(pass, logits);
      routing.scores = options_.gate_value == GateValue::noisy_softmax ? routing.noisy : logits;
      choose(pass, routing);
      weigh_by_scores(pass.context, routing);
      break;
    }
    case GateKind::attention:
    case GateKind::most_certain:
      choose(pass, routing);
      break;
    case GateKind::by_label:
    case GateKind::single:
      choose(pass, routing);
      fill(routing.weights, 1.0F);
      fill(routing.log_weights, 0.0F);
      break;
  }
  return routing;
}

void Gate::weigh_by_scores(device::Context& context, Routing& routing) const {
  if (slots_ == 1) routing.entropies = context.workspace().allocate<double>(routing.samples);
  ops::gate_weights(context, routing.scores, routing.experts.data(),
                    {routing.weights, routing.log_weights, routing.entropies});
  if (options_.gate_value == GateValue::noisy_logit) {
    routing.factors = tensor::allocate_matrix(context.workspace(), routing.samples, slots_);
    ops::gather_scores(context, routing.noisy, routing.experts.data(), slots_, routing.factors);
  }
}

ops::AttentionBatch Gate::attention(const SlotParts<const float>& returned) const {
  return {record_.layers.back().output, returned[Returned::hidden], options_.experts};
}

void Gate::weigh(const nn::Pass& pass, LayerOutput& output) const {
  device::Context& context = pass.context;
  auto& [routing, returned] = output;
  if (options_.kind == GateKind::attention) {
    const tensor::Matrix scores =
        tensor::allocate_matrix(context.workspace(), routing.samples, options_.experts);
    ops::attention_scores(context, attention(returned), scores);
    routing.scores = routing.noisy = scores;
    weigh_by_scores(context, routing);
  } else if (options_.kind == GateKind::most_certain) {
    // The weights are those that would mix the experts; the logarithms let one of them answer.
    const tensor::Matrix certainty = tensor::allocate_matrix(context.workspace(), routing.samples, slots_);
    ops::certainties(context, returned[Returned::output], certainty);
    ops::softmax(context, certainty, routing.weights);
    ops::choose_one(context, certainty, routing.log_weights);
    routing.scores = routing.noisy = certainty;
  }
}

void Gate::backward_scores(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                           const RegulariserGradients& regularisers) {
  device::Context& context = pass.context;
  const Routing& routing = output.routing;
  const bool attentive = options_.kind == GateKind::attention;
  // The experts learn from their keys, also where the queries stay as they are.
  if (!has_network() || (network_.frozen() && !attentive)) return;
  tensor::Matrix d_output;
  if (!network_.frozen()) {
    network_.begin_backward(pass, record_);
    partials_ = pass.workspace().allocate<float>(pass.tiles().local_count() * network_.partial_width());
    d_output = record_.layers.back().d_output;
  }
  const tensor::Matrix d_scores =
      attentive ? tensor::allocate_matrix(context.workspace(), routing.samples, options_.experts) : d_output;
  const auto samples = static_cast<double>(pass.tiles().total_rows());
  ops::gate_backward(context,
                     {.scores = routing.scores,
                      .experts = routing.experts.data(),
                      .weights = routing.weights,
                      .log_weights = routing.log_weights,
                      .measure = measure(),
                      .d_slots = gradients.slots,
                      .importance = regularisers.importance,
                      .probability = regularisers.probability,
                      .sample_probability = regularisers.sample_probability,
                      .sample_scale = regularisers.sample_scale,
                      .z_loss = static_cast<float>(regularisers.z_loss / samples),
                      .entropy = static_cast<float>(regularisers.entropy / samples)},
                     d_scores);
  if (!regularisers.load.empty()) {
    ops::expected_load_backward(context, expected_load(routing), regularisers.load, d_scores);
  }
  if (attentive) {
    ops::attention_backward(context, attention(output.returned), d_scores,
                            {d_output, gradients.returned[Returned::hidden]});
  }
}

void Gate::backward_network(const nn::Pass& pass) {
  if (has_network() && !network_.frozen()) network_.backward(pass, record_, partials_.data());
}

ops::ExpectedLoad Gate::expected_load(const Routing& routing) const {
  return {.clean = routing.clean,
          .noisy = routing.noisy,
          .experts = routing.experts.data(),
          .slots = routing.slots,
          .deviation = static_cast<float>(options_.noise_scale)};
}

void Gate::reduce_gradients(const nn::Pass& pass) {
  if (!has_network()) return;
  gradient_.reduce_partials(pass, partials_);
  gradient_.compute_blocks(pass, record_);
}

}  // namespace switchyard::moe
