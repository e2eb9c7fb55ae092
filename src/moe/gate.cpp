#include "moe/gate.hpp"

#include "ops/rows.hpp"

namespace switchyard::moe {

Gate::Gate(const nn::NetworkShape& shape, const GateOptions& gate, const nn::NetworkOptions& options, int ranks,
           int rank, std::uint64_t seed)
    : options_(gate),
      seed_(seed),
      network_("gate", shape, options, seed),
      gradient_(network_, {.replicated = true, .ranks = ranks, .rank = rank}),
      slots_(gate.top_k == 0 ? gate.experts : gate.top_k) {}

tensor::ConstMatrix Gate::add_noise(device::Context& context, tensor::ConstMatrix logits,
                                    const Samples& samples, nn::Mode mode) const {
  const bool wanted = options_.noise != config::GateNoise::none &&
                      (mode == nn::Mode::training || options_.noise_when == config::NoiseWhen::always);
  if (!wanted) return logits;
  const std::uint32_t step = options_.noise_draw == config::NoiseDraw::once ? 0 : samples.step;
  const tensor::Matrix noisy{context.workspace().allocate<float>(logits.rows * logits.cols).data(), logits.rows,
                             logits.cols};
  const bool normal = options_.noise == config::GateNoise::normal;
  ops::add_noise(
      context, logits, samples.ids, {seed_, step, samples.stream},
      {normal ? ops::NoiseSpread::normal : ops::NoiseSpread::uniform, static_cast<float>(options_.noise_scale)},
      noisy);
  return noisy;
}

Routing Gate::route(device::Context& context, const nn::BatchTiles& tiles, const Samples& samples,
                    nn::Mode mode) {
  network_.forward(context, tiles, samples.rows, mode, record_);
  device::Workspace& workspace = context.workspace();
  const index_t rows = tiles.local_rows();
  const auto matrix = [&] {
    return tensor::Matrix{workspace.allocate<float>(rows * slots_).data(), rows, slots_};
  };
  Routing routing;
  routing.samples = rows;
  routing.slots = slots_;
  const tensor::ConstMatrix logits = record_.layers.back().output;
  routing.clean = logits;
  routing.noisy = add_noise(context, logits, samples, mode);
  routing.scores = options_.value == config::GateValue::noisy_softmax ? routing.noisy : logits;
  routing.experts = workspace.allocate<std::int32_t>(rows * slots_);
  if (options_.top_k == 0) {
    for (index_t i = 0; i < rows * slots_; ++i)
      routing.experts[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % slots_);
  } else {
    ops::top_k(context, routing.noisy, slots_, routing.experts.data());
  }
  routing.weights = matrix();
  routing.log_weights = matrix();
  ops::gate_weights(context, routing.scores, routing.experts.data(), slots_, routing.weights,
                    routing.log_weights);
  routing.factors = routing.weights;
  if (measure() == ops::GateMeasure::score) {
    routing.factors = matrix();
    ops::gather_scores(context, routing.noisy, routing.experts.data(), slots_, routing.factors);
  }
  return routing;
}

void Gate::backward(device::Context& context, const nn::BatchTiles& tiles, const Routing& routing,
                    tensor::ConstMatrix d_slots, const RegulariserGradients& regularisers) {
  network_.begin_backward(context.workspace(), tiles, record_);
  partials_ = context.workspace().allocate<float>(tiles.local_count() * network_.partial_width());
  const auto samples = static_cast<double>(tiles.total_rows());
  ops::gate_backward(context,
                     {.scores = routing.scores,
                      .experts = routing.experts.data(),
                      .weights = routing.weights,
                      .log_weights = routing.log_weights,
                      .measure = measure(),
                      .d_slots = d_slots,
                      .importance = regularisers.importance,
                      .probability = regularisers.probability,
                      .sample_probability = regularisers.sample_probability,
                      .sample_scale = regularisers.sample_scale,
                      .z_loss = static_cast<float>(regularisers.z_loss / samples),
                      .entropy = static_cast<float>(regularisers.entropy / samples)},
                     record_.layers.back().d_output);
  if (!regularisers.load.empty()) {
    ops::expected_load_backward(context, expected_load(routing), regularisers.load,
                                record_.layers.back().d_output);
  }
  network_.backward(context, tiles, record_, partials_.data());
}

ops::ExpectedLoad Gate::expected_load(const Routing& routing) const {
  return {.clean = routing.clean,
          .noisy = routing.noisy,
          .experts = routing.experts.data(),
          .slots = routing.slots,
          .deviation = static_cast<float>(options_.noise_scale)};
}

void Gate::reduce_gradients(device::Context& context, const nn::BatchTiles& tiles) {
  gradient_.reduce_partials(context, tiles, partials_);
  gradient_.compute_blocks(context, tiles, record_);
}

}  // namespace switchyard::moe
