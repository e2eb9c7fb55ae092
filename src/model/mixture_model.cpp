#include "model/mixture_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "moe/importance.hpp"
#include "ops/mixture.hpp"
#include "ops/reduce.hpp"

namespace switchyard::model {
namespace {

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

nn::NetworkShape expert_shape(const config::Config& config, nn::ImageShape input, index_t classes) {
  const auto spec = config::parse_network(config.model.expert, config::NetworkRole::expert);
  nn::NetworkShape shape = nn::NetworkShape::resolve("expert", spec, input, classes);
  if (shape.batch_norm) {
    throw ConfigError(
        "model.expert has batch_norm (an expert's statistics would depend on who else was routed to it); "
        "use batch_norm in model.gate only");
  }
  return shape;
}

}  // namespace

moe::LayerOptions layer_options(const config::Config& config, nn::ImageShape input, index_t classes) {
  const auto gate = config::parse_network(config.model.gate, config::NetworkRole::gate);
  return {.gate = nn::NetworkShape::resolve("gate", gate, input, config.moe.experts),
          .expert = expert_shape(config, input, classes),
          .outputs = classes,
          .top_k = config.moe.top_k,
          .gate_options = {{.replicated = true,
                            .batch_size = config.train.batch_size,
                            .shards = config.train.shards},
                           config.train.precision},
          .expert_options = {{}, config.train.precision},
          .seed = config.run.seed};
}

MixtureModel::MixtureModel(const config::Config& config, nn::ImageShape input, index_t classes,
                           comm::Communicator& communicator)
    : communicator_(&communicator),
      importance_weight_(config.moe.importance),
      options_(layer_options(config, input, classes)),
      layer_(options_, communicator,
             moe::Placement::make(config.moe.placement, config.moe.experts, communicator.size())),
      importance_gradient_(at(config.moe.experts), 0.0) {}

// From the shape, since a rank may host no expert.
index_t MixtureModel::expert_entries() const {
  return nn::NetworkGradient::norm_entries(options_.expert, nn::GradientPolicy{});
}
index_t MixtureModel::gate_entries() const {
  return nn::NetworkGradient::norm_entries(options_.gate, options_.gate_options.policy);
}
index_t MixtureModel::norm_entries() const {
  return gate_entries() + expert_entries() * layer_.placement().expert_count();
}
index_t MixtureModel::parameter_count() const {
  return gate_parameters() + expert_parameters() * layer_.placement().expert_count();
}

void MixtureModel::forward(device::Context& context, const Batch& batch, nn::Mode mode, PhaseClock& clock,
                           moe::GateStatistics& statistics) {
  output_ = layer_.forward(context, *batch.tiles, batch.images, mode, clock);
  clock.enter(Phase::combine);
  device::Workspace& workspace = context.workspace();
  const moe::Routing& routing = output_.routing;
  losses_ = workspace.allocate<float>(routing.samples);
  predicted_ = workspace.allocate<std::int32_t>(routing.samples);
  posteriors_ = {workspace.allocate<float>(routing.samples * routing.slots).data(), routing.samples,
                 routing.slots};
  ops::mixture_forward(context, mixture_batch(batch), routing.log_weights,
                       {.losses = losses_, .posteriors = posteriors_, .predicted = predicted_});
  clock.enter(Phase::other);
  count_choices(batch, statistics);
  collect(context, batch, statistics);
  importance_loss_ = moe::importance_loss(statistics.importance, importance_weight_);
  moe::importance_gradient(statistics.importance, importance_weight_, importance_gradient_);
  if (!std::isfinite(statistics.loss_sum)) {
    throw_agreed(ErrorKind::numeric,
                 fmt::format("the loss is {} (a weight or an activation is no longer finite); try a smaller "
                             "optim.learning_rate, warm-up (optim.warmup_steps) or clipping (optim.clip_norm)",
                             statistics.loss_sum));
  }
}

ops::MixtureBatch MixtureModel::mixture_batch(const Batch& batch) const {
  const moe::Routing& routing = output_.routing;
  return {.gate_logits = routing.logits,
          .experts = routing.experts.data(),
          .slots = routing.slots,
          .log_probs = output_.slot_rows.data(),
          .labels = batch.labels.data(),
          .classes = classes()};
}

// Sums over the global batch: a float64 partial per shard, added in shard order.
void MixtureModel::collect(device::Context& context, const Batch& batch, moe::GateStatistics& statistics) {
  device::Workspace& workspace = context.workspace();
  const nn::BatchTiles& tiles = *batch.tiles;
  const moe::Routing& routing = output_.routing;
  const std::span<double> entropies = workspace.allocate<double>(routing.samples);
  ops::entropy_rows(context, routing.weights, entropies);

  const index_t experts = statistics.experts();
  const index_t width = 2 + experts;  // loss, entropy, importance
  const std::span<double> mine = workspace.allocate<double>(tiles.local_count() * width);
  std::ranges::fill(mine, 0.0);
  for (index_t tile = 0; tile < tiles.local_count(); ++tile) {
    double* const sums = mine.data() + tile * width;
    const IndexRange rows = tiles.rows(tile);
    for (index_t n = rows.begin; n < rows.end; ++n) {
      sums[0] += static_cast<double>(losses_[at(n)]);
      sums[1] += entropies[at(n)];
      for (index_t i = 0; i < routing.slots; ++i) {
        sums[2 + routing.experts[at(n * routing.slots + i)]] += static_cast<double>(routing.weights(n, i));
      }
    }
  }
  const std::span<const double> all = tiles.gather_tiles(workspace, mine, width);
  const std::span<double> column = workspace.allocate<double>(tiles.total_count());
  for (index_t c = 0; c < width; ++c) {
    for (index_t tile = 0; tile < tiles.total_count(); ++tile) column[at(tile)] = all[at(tile * width + c)];
    const double sum = ops::sum_tree(column);
    if (c == 0)
      statistics.loss_sum = sum;
    else if (c == 1)
      statistics.entropy_sum = sum;
    else
      statistics.importance[at(c - 2)] = sum;
  }
}

void MixtureModel::count_choices(const Batch& batch, moe::GateStatistics& statistics) const {
  const moe::Routing& routing = output_.routing;
  statistics.samples() += routing.samples;
  statistics.sent_rows() += layer_.plan().sent_rows();
  for (index_t n = 0; n < routing.samples; ++n) {
    const std::int32_t label = batch.labels[at(n)];
    statistics.errors() += predicted_[at(n)] != label ? 1 : 0;
    index_t chosen = 0;
    for (index_t i = 0; i < routing.slots; ++i) {
      ++statistics.load(routing.experts[at(n * routing.slots + i)]);
      if (routing.weights(n, i) > routing.weights(n, chosen)) chosen = i;
    }
    const float* const row = output_.slot_rows[at(n * routing.slots + chosen)];
    index_t prediction = 0;
    for (index_t c = 1; c < classes(); ++c) {
      if (row[c] > row[prediction]) prediction = c;
    }
    const index_t expert = routing.experts[at(n * routing.slots + chosen)];
    ++statistics.by_label(label, expert);
    ++statistics.by_prediction(prediction, expert);
  }
}

void MixtureModel::backward(device::Context& context, const Batch& batch, PhaseClock& clock) {
  clock.enter(Phase::combine);
  const moe::Routing& routing = output_.routing;
  const moe::Layer::Gradients gradients = layer_.begin_backward(context, *batch.tiles);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(batch.tiles->total_rows()));
  ops::mixture_backward(context, mixture_batch(batch), routing.weights, posteriors_, scale,
                        importance_gradient_,
                        {.d_log_probs = gradients.slot_rows.data(), .d_logits = gradients.logits});
  layer_.backward(context, *batch.tiles, clock);
}

void MixtureModel::reduce_gradients(device::Context& context, const Batch& batch, PhaseClock& clock) {
  layer_.reduce_gradients(context, *batch.tiles, clock);
}

void MixtureModel::gather_updated_values(device::Context& context) {
  layer_.gate().gradient().gather_updated_values(*communicator_);
  values_changed(context);
}

std::vector<nn::ParameterSlice> MixtureModel::slices() {
  std::vector<nn::ParameterSlice> all;
  for (const nn::ParameterSlice& slice : layer_.gate().gradient().slices()) all.push_back(slice);
  moe::Experts& experts = layer_.experts();
  for (index_t e = 0; e < experts.count(); ++e) {
    for (nn::ParameterSlice slice : experts.gradient(e).slices()) {
      slice.norm_entry += gate_entries() + experts.id(e).index() * expert_entries();
      all.push_back(slice);
    }
  }
  return all;
}

std::vector<ModelArray> MixtureModel::parameters() {
  std::vector<ModelArray> arrays;
  const auto add = [&](nn::Network& network, bool shared) {
    for (index_t l = 0; l < network.layer_count(); ++l) {
      for (nn::Parameter& p : network.layer(l).parameters()) {
        arrays.push_back({p.name, p.value.shape(), {0, p.value.shape()[0]}, p.value.data(), shared});
      }
    }
  };
  add(layer_.gate().network(), true);
  for (index_t e = 0; e < layer_.experts().count(); ++e) add(layer_.experts().network(e), false);
  return arrays;
}

std::vector<ModelArray> MixtureModel::state() {
  std::vector<ModelArray> arrays;
  nn::Network& gate = layer_.gate().network();
  for (index_t l = 0; l < gate.layer_count(); ++l) {
    for (nn::StateArray& s : gate.layer(l).state()) {
      arrays.push_back({s.name, s.value.shape(), {0, s.value.shape()[0]}, s.value.data(), true});
    }
  }
  return arrays;
}

}  // namespace switchyard::model
