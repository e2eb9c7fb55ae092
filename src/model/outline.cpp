#include "model/outline.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "model/head.hpp"

namespace switchyard::model {
namespace {

// What the mixture layers of any model have in common.
moe::LayerOptions layer_of(const ModelOptions& options, const moe::RouterOptions& routing) {
  const nn::InitialValues init = options.networks.init;
  return {.routing = routing,
          .gate_options = {{.replicated = true, .batch_size = options.batch_size, .shards = options.shards},
                           options.precision,
                           {init, options.networks.gate_init_scale, options.draw},
                           options.frozen.gate},
          .expert_options = {{},
                             options.precision,
                             {init, options.networks.expert_init_scale, options.draw},
                             options.frozen.experts},
          .seed = options.seed};
}

void expect_similarity_layer(const ModelOptions& options, const nn::NetworkShape& gate) {
  const index_t layers = nn::Network(gate).layer_count();
  if (options.moe.similarity_layer > layers) {
    throw ConfigError(fmt::format(
        "moe.similarity_layer = {} (model.gate has {} layers with weights); give one of them, or 0 for the "
        "samples themselves",
        options.moe.similarity_layer, layers));
  }
}

// model.gate and model.expert for rows of that shape.
void resolve_networks(const ModelOptions& options, const Task& task, moe::LayerOptions& layer) {
  const moe::GateSpec gate = moe::parse_gate(options.networks.gate);
  layer.expert = nn::NetworkShape::resolve(
      "expert", moe::parse_expert(options.networks.expert, expert_role(options.networks.family)), task.sample,
      layer.outputs);
  if (gate.kind.scores == moe::ScoresOf::hidden_vectors) layer.expert.show_hidden();
  if (gate.kind.resolve != nullptr) {
    layer.gate = gate.kind.resolve(
        {options.moe, gate.layers, task.sample, task.classes, layer.expert, options.networks.expert});
  }
  expect_similarity_layer(options, layer.gate);
}

Outline outline_of_mixture(const ModelOptions& options, const Task& task) {
  const std::unique_ptr<Head> head = make_head(options, task.classes);
  const moe::RouterKind kind = moe::parse_gate(options.networks.gate).kind;
  moe::LayerOptions layer = layer_of(options, {options.moe, kind, task.classes, head->measure()});
  layer.outputs = head->outputs();
  resolve_networks(options, task, layer);
  if (kind_of(options.networks.loss).of_distributions)
    layer.expert.layers.push_back(nn::RowFunctionShape{nn::RowFunctionShape::Kind::log_softmax, layer.outputs});
  return {.layers = {layer}, .row_features = task.sample.features()};
}

Outline outline_of_tokens(const ModelOptions& options, const Task& task) {
  const auto& [width, blocks] = options.networks.tokens;
  Outline outline{.row_features = width,
                  .rows_per_sample = task.window,
                  .trunk_parameters = task.classes * width + (blocks + 1) * width,
                  .trunk_multiply_adds = task.classes * width};
  const moe::RouterKind kind = moe::parse_gate(options.networks.gate).kind;
  Task of_rows = task;
  of_rows.sample = {1, 1, width};
  for (index_t block = 0; block < blocks; ++block) {
    moe::LayerOptions layer =
        layer_of(options, {options.moe, kind, task.classes, moe::measure_of(options.moe.gate_value)});
    layer.scope = fmt::format("blocks/{:02}/mixture/", block);
    layer.outputs = width;
    layer.gate_options.policy.batch_size *= task.window;
    layer.gate_options.input_gradient = layer.expert_options.input_gradient = true;
    resolve_networks(options, of_rows, layer);
    outline.layers.push_back(layer);
  }
  return outline;
}

}  // namespace

index_t Outline::parameter_count() const {
  index_t count = trunk_parameters;
  for (const moe::LayerOptions& layer : layers) {
    count += nn::Network(layer.gate).parameter_count() +
             layer.routing.experts * nn::Network(layer.expert).parameter_count();
  }
  return count;
}

Outline outline(const ModelOptions& options, const Task& task) {
  switch (options.networks.family) {
    case Family::mixture:
      return outline_of_mixture(options, task);
    case Family::tokens:
      return outline_of_tokens(options, task);
  }
  return {};
}

}  // namespace switchyard::model
