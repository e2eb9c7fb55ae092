#include "model/outline.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "model/head.hpp"
#include "nn/rms_norm.hpp"

namespace switchyard::model {
namespace {

// What the mixture layers of any model have in common.
moe::LayerOptions layer_of(const ModelOptions& options, const moe::RouterOptions& routing) {
  const nn::InitialValues init = options.networks.init;
  return {.routing = routing,
          .gate_options = {{.replicated = true, .batch_size = options.batch_size, .shards = options.shards},
                           options.precision,
                           {init, options.networks.gate_init_scale, options.draw},
                           options.frozen.gate,
                           /*input_gradient=*/false,
                           options.memory},
          .expert_options = {{},
                             options.precision,
                             {init, options.networks.expert_init_scale, options.draw},
                             options.frozen.experts,
                             /*input_gradient=*/false,
                             options.memory,
                             options.moe.experts},
          .gradient_blocks = options.moe.gradient_blocks,
          .seed = options.seed};
}

void expect_similarity_layer(const ModelOptions& options, const nn::NetworkShape& gate) {
  const index_t layers = nn::Network(gate).layer_count();
  if (options.moe.similarity_layer > layers) {
    throw ConfigError(fmt::format(
        "moe.similarity_layer = {} (the gate has {} layers with weights); give one of them, or 0 for what it reads",
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
  const std::unique_ptr<Head> head = make_head(options, task);
  const moe::RouterKind kind = moe::parse_gate(options.networks.gate).kind;
  moe::LayerOptions layer = layer_of(options, {options.moe, kind, task.classes, head->measure()});
  layer.outputs = head->outputs();
  resolve_networks(options, task, layer);
  if (ends_in_softmax(kind_of(options.networks.loss)))
    layer.expert.layers.push_back(nn::RowFunctionShape{nn::RowFunctionShape::Kind::log_softmax, layer.outputs});
  return {.layers = {layer}, .row_features = task.sample.features()};
}

// A mixture layer of a model of tokens: what is left are its networks.
moe::LayerOptions inner_layer(const ModelOptions& options, const Task& task, index_t width, index_t block,
                              index_t sub_heads = 1) {
  const moe::RouterKind kind = moe::parse_gate(gate_text(options.networks, options.moe)).kind;
  moe::LayerOptions layer =
      layer_of(options, {options.moe, kind, task.classes, moe::measure_of(options.moe.gate_value)});
  layer.scope = fmt::format("blocks/{:02}/mixture/", block);
  layer.outputs = width / sub_heads;
  layer.gate_options.policy.batch_size *= task.window * sub_heads;
  layer.gate_options.input_gradient = layer.expert_options.input_gradient = true;
  return layer;
}

Outline outline_of_tokens(const ModelOptions& options, const Task& task) {
  const auto& [width, blocks] = options.networks.tokens;
  Outline outline{.row_features = width, .rows_per_sample = task.window, .embedding = {task.classes, width}};
  outline.recompute = options.recompute;
  Task of_rows = task;
  of_rows.sample = {1, 1, width};
  for (index_t block = 0; block < blocks; ++block) {
    moe::LayerOptions layer = inner_layer(options, task, width, block);
    resolve_networks(options, of_rows, layer);
    outline.layers.push_back(layer);
    outline.branches.push_back({fmt::format("blocks/{:02}/norm", block), moe::MixtureBranchOptions{layer}});
  }
  return outline;
}

// y = (silu(x W_g) * (x W_v)) W_down, the two of `glu` side by side (Shazeer 2020).
nn::NetworkShape swiglu(const nn::Quantisation& quantisation, index_t width, index_t hidden) {
  using nn::RowFunctionShape;
  return {{nn::product_shape(quantisation, "glu", width, 2 * hidden, 2),
           RowFunctionShape{RowFunctionShape::Kind::swiglu, hidden},
           nn::product_shape(quantisation, "down", hidden, width)}};
}

// That of moe.router. Nothing in a transformer has a bias.
nn::NetworkShape gate_without_bias(const ModelOptions& options, const Task& task, tensor::SampleShape row,
                                   const nn::NetworkShape& expert) {
  const moe::GateSpec gate = moe::parse_gate(gate_text(options.networks, options.moe));
  nn::NetworkShape shape =
      gate.kind.resolve({options.moe, gate.layers, row, task.classes, expert, /*expert_text=*/""});
  for (nn::LayerShape& layer : shape.layers) {
    if (auto* const dense = std::get_if<nn::DenseShape>(&layer)) dense->bias = false;
  }
  expect_similarity_layer(options, shape);
  return shape;
}

moe::MixtureBranchOptions mixture_of_transformer(const ModelOptions& options, const Task& task, index_t block,
                                                 const nn::NetworkOptions& network) {
  const index_t width = options.networks.transformer.width;
  const index_t sub_heads = options.moe.sub_heads;
  moe::MixtureBranchOptions mixture{inner_layer(options, task, width, block, sub_heads), sub_heads};
  const index_t sub_width = mixture.layer.outputs;
  const nn::Quantisation quantisation = options.networks.transformer.quantisation();
  mixture.layer.expert = swiglu(quantisation, sub_width, options.moe.hidden);
  mixture.layer.gate = gate_without_bias(options, task, {1, 1, sub_width}, mixture.layer.expert);
  const std::string name = fmt::format("blocks/{:02}/mixture", block);
  const auto square = [&](std::string_view array) {
    const nn::DenseShape shape{.in = width, .out = width, .bias = false, .name = array};
    return nn::NetworkModuleOptions{name, {{shape}}, network, options.seed, Phase::experts};
  };
  if (moe::has(options.moe.head, options.moe)) mixture.head = square("head");
  if (moe::has(options.moe.merge, options.moe)) mixture.merge = square("merge");
  if (options.moe.shared_hidden > 0) {
    mixture.shared =
        nn::NetworkModuleOptions{name + "/shared", swiglu(quantisation, width, options.moe.shared_hidden),
                                 network, options.seed, Phase::experts};
  }
  return mixture;
}

Outline outline_of_transformer(const ModelOptions& options, const Task& task) {
  const TransformerOptions& of = options.networks.transformer;
  if (of.vocabulary > 0 && of.vocabulary != task.classes) {
    throw ConfigError(fmt::format(
        "transformer.vocabulary = {} (the data have {} tokens); set it to that, or to 0, or give the data that the "
        "vocabulary is of",
        of.vocabulary, task.classes));
  }
  Outline outline{
      .row_features = of.width, .rows_per_sample = task.window, .embedding = {task.classes, of.width, of.tied}};
  outline.sub_heads = options.moe.sub_heads;
  outline.drops = of.dropout > 0;
  outline.recompute = options.recompute;
  const nn::NetworkOptions network{
      {.replicated = true, .batch_size = options.batch_size * task.window, .shards = options.shards},
      options.precision,
      {options.networks.init, 1.0, options.draw},
      /*frozen=*/false,
      /*input_gradient=*/true,
      options.memory};
  for (index_t block = 0; block < of.layers; ++block) {
    const std::string scope = fmt::format("blocks/{:02}", block);
    const nn::CausalAttentionOptions attention{.name = scope + "/attention",
                                               .width = of.width,
                                               .heads = of.heads,
                                               .window = task.window,
                                               .rotary_base = of.rotary_base,
                                               .across_documents = of.across_documents,
                                               .network = network,
                                               .quantisation = of.quantisation(),
                                               .seed = options.seed};
    outline.branches.push_back({scope + "/attention_norm", attention});
    if (of.is_mixture(block)) {
      const moe::MixtureBranchOptions mixture = mixture_of_transformer(options, task, block, network);
      outline.branches.push_back({scope + "/norm", mixture});
      outline.layers.push_back(mixture.layer);
    } else {
      const nn::NetworkModuleOptions dense{
          scope + "/feed_forward", swiglu(of.quantisation(), of.width, of.hidden), network, options.seed};
      outline.branches.push_back({scope + "/norm", dense});
    }
  }
  return outline;
}

// Beyond this a size would be no number that a step could be planned with.
constexpr double most_parameters = 1e15;

void expect_countable(const Outline& outline) {
  double parameters = 0;
  for (const moe::LayerOptions& layer : outline.layers) {
    parameters += static_cast<double>(nn::Network(layer.expert).parameter_count()) *
                  static_cast<double>(layer.routing.experts);
  }
  if (parameters <= most_parameters) return;
  throw ConfigError(fmt::format(
      "all experts have {:.3g} parameters (at most {:.0e} are computed with); give fewer or smaller ones (moe.experts)",
      parameters, most_parameters));
}

Outline outline_of(const ModelOptions& options, const Task& task) {
  switch (options.networks.family) {
    case Family::mixture:
      return outline_of_mixture(options, task);
    case Family::tokens:
      return outline_of_tokens(options, task);
    case Family::transformer:
      return outline_of_transformer(options, task);
  }
  return {};
}

}  // namespace

Costs& Costs::operator+=(const Costs& more) {
  for (std::size_t part = 0; part < size(); ++part) (*this)[part] += more[part];
  return *this;
}

nn::Cost sum(const Costs& costs) {
  nn::Cost all;
  for (const nn::Cost& cost : costs) all += cost;
  return all;
}

Costs Outline::costs_of(const Branch& branch) const {
  Costs costs;
  costs.of(Part::norms) = nn::RmsNorm::cost(row_features);
  if (drops) costs.of(Part::norms).row_floats += static_cast<double>(row_features);  // a gradient's copy
  if (const auto* const mixture = std::get_if<moe::MixtureBranchOptions>(&branch.body)) {
    const moe::MixtureBranchOptions::Costs of = mixture->costs();
    costs.of(Part::router) = of.router;
    costs.of(Part::experts) = of.experts;
    costs.of(Part::head_and_merge) = of.head_and_merge;
    costs.of(Part::shared_expert) = of.shared;
  } else if (const auto* const attention = std::get_if<nn::CausalAttentionOptions>(&branch.body)) {
    costs.of(Part::attention) = attention->cost();
  } else {
    costs.of(Part::feed_forward) = std::get<nn::NetworkModuleOptions>(branch.body).cost();
  }
  if (recompute) {
    for (nn::Cost& cost : costs) cost.training_multiply_adds += cost.multiply_adds;
  }
  return costs;
}

Costs Outline::costs_of_ends() const {
  Costs costs;
  costs.of(Part::embedding) = embedding.cost();
  costs.of(Part::norms) = nn::RmsNorm::cost(row_features);
  return costs;
}

Costs Outline::costs() const {
  Costs costs;
  if (embedding.vocabulary > 0) {
    costs = costs_of_ends();
    for (const Branch& branch : branches) costs += costs_of(branch);
  } else {
    costs.of(Part::router) = layers.front().router_cost();
    costs.of(Part::experts) = layers.front().experts_cost();
  }
  return costs;
}

nn::Cost Outline::trunk() const {
  Costs of_trunk = costs();
  of_trunk.of(Part::router) = of_trunk.of(Part::experts) = {};
  return sum(of_trunk);
}

Outline outline(const ModelOptions& options, const Task& task) {
  Outline outline = outline_of(options, task);
  expect_countable(outline);
  return outline;
}

}  // namespace switchyard::model
