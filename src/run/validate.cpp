#include "run/validate.hpp"

#include <algorithm>

#include "config/name_pattern.hpp"
#include "config/require.hpp"
#include "moe/router_kind.hpp"
#include "nn/network_spec.hpp"
#include "run/config.hpp"
#include "run/validate_mixture.hpp"

namespace switchyard::run {
namespace {

using config::require;

void check_networks(const Config& config) {
  if (config.model.family == model::Family::transformer) return;  // it has none of its own to write
  for (const nn::NetworkRole role : {nn::NetworkRole::gate, nn::NetworkRole::expert}) {
    const bool is_gate = role == nn::NetworkRole::gate;
    const auto layers = is_gate
                            ? moe::parse_gate(config.model.gate).layers
                            : moe::parse_expert(config.model.expert, model::expert_role(config.model.family));
    using Kind = nn::LayerSpec::Kind;
    const auto has = [&](Kind kind) {
      return std::ranges::find(layers, kind, &nn::LayerSpec::kind) != layers.end();
    };
    const bool needs_image = std::ranges::any_of(layers, nn::is_of_images, &nn::LayerSpec::kind);
    require(
        config.train.parts == 1 || !has(Kind::batch_norm),
        "train.parts = {} with batch_norm in model.{} (its statistics are of the whole batch, and parts are computed "
        "one after the other); set train.parts = 1",
        config.train.parts, is_gate ? "gate" : "expert");
    require(
        !config.train.recompute || !has(Kind::batch_norm),
        "train.recompute = yes with batch_norm in model.{} (its running statistics would count a batch twice); set "
        "train.recompute = no",
        is_gate ? "gate" : "expert");
    require(config.train.precision != nn::Precision::bf16 || !has(Kind::patch_filters),
            "train.precision = bf16 with patch_filters in model.{} (they compute in float32 only); use float32",
            is_gate ? "gate" : "expert");
    require(
        data::reads_images(config.data) || !needs_image,
        "model.{} has layers of images, such as conv and max_pool (data.source = idx, cifar, images, hdf5 and npy have "
        "images); use dense layers, or data.source = idx",
        is_gate ? "gate" : "expert");
  }
}

void check_transformer(const Config& config) {
  const Config defaults;
  const model::TransformerOptions& of = config.model.transformer;
  const auto is_default = [&](const moe::Options& moe) {
    return moe.hidden == defaults.moe.hidden && moe.sub_heads == defaults.moe.sub_heads &&
           moe.shared_hidden == defaults.moe.shared_hidden && moe.head == defaults.moe.head &&
           moe.merge == defaults.moe.merge;
  };
  const bool is_transformer = config.model.family == model::Family::transformer;
  require(
      is_transformer || is_default(config.moe),
      "moe.hidden, moe.sub_heads, moe.shared_hidden, moe.head or moe.merge is set with model.family = {} (its "
      "experts are what model.expert says); remove it",
      schema().text(config, "model.family"));
  require(
      is_transformer || config.moe.router == defaults.moe.router,
      "moe.router = {} with model.family = {} (its model.gate says what scores the experts); remove it, and end "
      "model.gate with {}",
      word_of(config.moe, "router"), schema().text(config, "model.family"), moe::gate_of(config.moe.router));
  if (!is_transformer) return;
  require(
      config.model.gate.empty() && config.model.expert.empty(),
      "model.gate = '{}' or model.expert = '{}' with model.family = transformer (its networks have the sizes of "
      "[transformer] and moe.hidden, and moe.router says what scores the experts); remove them",
      config.model.gate, config.model.expert);
  require(
      of.width % of.heads == 0 && of.width / of.heads % 2 == 0,
      "transformer.width = {} with transformer.heads = {} (a head takes width / heads numbers, in pairs); give a "
      "width that is a multiple of {}",
      of.width, of.heads, 2 * of.heads);
  require(
      config.data.window == defaults.data.window,
      "data.window = {} with model.family = transformer (transformer.window says how long a sequence is); remove "
      "it",
      config.data.window);
  require(
      of.mixture_every <= of.layers,
      "transformer.mixture_every = {} with transformer.layers = {} (no layer would be a mixture); lower it, or "
      "set it to 0 for a model without",
      of.mixture_every, of.layers);
  require(
      of.quantise != nn::Quantiser::none || !of.integer_products,
      "transformer.integer_products = yes with transformer.quantise = none (its numbers are no integers); set "
      "transformer.quantise = bitnet, or remove it");
  require(
      of.quantise == nn::Quantiser::none || std::max({of.width, of.hidden, config.moe.hidden,
                                                      config.moe.shared_hidden}) <= nn::most_quantised_inputs,
      "transformer.quantise = bitnet with a width of {} (transformer.width and hidden, moe.hidden and "
      "shared_hidden: float32 adds up {} products of eight bits exactly); make it narrower",
      std::max({of.width, of.hidden, config.moe.hidden, config.moe.shared_hidden}), nn::most_quantised_inputs);
  require(
      of.across_documents || (config.data.source == data::Source::tokens && config.data.pack),
      "transformer.across_documents = no with data.source = {} and data.pack = {} (no window holds more than one "
      "document); remove it, or set data.source = tokens and data.pack = yes",
      schema().text(config, "data.source"), schema().text(config, "data.pack"));
  require(
      of.width % config.moe.sub_heads == 0,
      "moe.sub_heads = {} with transformer.width = {} (a token is cut into equal parts); give a divisor of the "
      "width",
      config.moe.sub_heads, of.width);
}

// What only a mixture layer and its gate read, where the model has none.
void check_without_mixture(const Config& config) {
  if (model::has_mixture(config.model)) return;
  std::string set;
  for (const config::Key& key : schema().keys()) {
    const bool is_of_mixture = key.section->name == "moe" || key.name.starts_with("optim.gate_");
    if (!is_of_mixture || schema().text(config, key) == schema().default_text(key)) continue;
    set += fmt::format("{}{} = {}", set.empty() ? "" : ", ", key.name, schema().text(config, key));
  }
  require(
      set.empty(),
      "{} with transformer.mixture_every = 0 (there is no mixture); remove it, or set transformer.mixture_every",
      set);
}

// A model of text has a loss of its own, and its routers choose before an expert ran.
void check_family(const Config& config, const moe::RouterKind& kind) {
  const bool is_text = data::reads_tokens(config.data);
  const bool has_tokens = model::reads_tokens(config.model.family);
  require(
      is_text == has_tokens,
      "model.family = {} with data.source = {} (a mixture reads rows of numbers, and the other families the "
      "tokens of a text); set model.family = tokens or transformer and data.source = text or tokens, or neither",
      schema().text(config, "model.family"), schema().text(config, "data.source"));
  require(
      has_tokens || !config.train.recompute,
      "train.recompute = yes with model.family = {} (one mixture layer keeps nothing that it could compute again); "
      "remove it",
      schema().text(config, "model.family"));
  check_transformer(config);
  check_without_mixture(config);
  if (!has_tokens) return;
  const std::string family = schema().text(config, "model.family");
  const Config defaults;
  require(
      config.model.loss == defaults.model.loss,
      "model.loss = {} with model.family = {} (its loss is the cross-entropy of the token that follows); remove it",
      schema().text(config, "model.loss"), family);
  require(
      kind.scores == moe::ScoresOf::samples && kind.has_network,
      "model.gate = '{}' with model.family = tokens (its routers score the experts by the row alone); end it "
      "with dense:experts",
      config.model.gate);
  for (const std::string_view text :
       {std::string_view(config.model.gate), std::string_view(config.model.expert)}) {
    require(
        text.find("patch_filters") == text.npos,
        "patch_filters with model.family = tokens (they give no gradient of their input); use dense layers");
  }
  require(config.train.freeze == defaults.train.freeze,
          "train.freeze = {} with model.family = {} (all of it is trained); set it to none",
          config.train.freeze, family);
  require(
      config.moe.expert_temperature == 1,
      "moe.expert_temperature = {} with model.family = {} (only a mixture's likelihood reads it); set it to 1",
      config.moe.expert_temperature, family);
}

model::Frozen frozen_in(const Config& config) {
  return model::frozen_networks(config.train.freeze, config.moe.experts);
}

// A gate without a network has no weights to draw, train or keep apart, and no scores that learn.
void check_gate_without_network(const Config& config, const moe::RouterKind& kind) {
  if (kind.has_network) return;
  const std::string& gate = config.model.gate;
  for (const auto& [key, weight] : moe::regulariser_weights(config.moe)) {
    require(weight == 0, "moe.{} = {} with model.gate = '{}' (it has no scores that could learn); set it to 0",
            key, weight, gate);
  }
  const Config defaults;
  require(config.optim.gate_name == defaults.optim.gate_name &&
              config.optim.gate_learning_rate == defaults.optim.gate_learning_rate &&
              config.model.gate_init_scale == defaults.model.gate_init_scale,
          "optim.gate_name, optim.gate_learning_rate or model.gate_init_scale is set with model.gate = '{}' "
          "(it has no weights); remove them",
          gate);
  const model::Frozen frozen = frozen_in(config);
  require(!frozen.gate && !frozen.experts,
          "train.freeze = {} with model.gate = '{}' (that gate has no network, so {}); set it to none",
          config.train.freeze, gate, frozen.experts ? "nothing would be trained" : "it never changes");
  for (const config::NamePattern& part : config::parse_name_patterns(config.init.parts)) {
    require(!part.covers("gate") || part.covers("experts"),
            "init.parts = {} with model.gate = '{}' (that gate has no network to read); use experts or all",
            config.init.parts, gate);
  }
}

void check_init(const InitOptions& init) {
  require(init.parts == InitOptions().parts || !init.from.empty(),
          "init.parts = {} without init.from (nothing is read); give the checkpoint, or remove it", init.parts);
  require(
      init.upcycle_noise == 0 || !init.from.empty(),
      "init.upcycle_noise = {} without init.from (nothing is copied); give the checkpoint of a dense model, or "
      "set it to 0",
      init.upcycle_noise);
  require(!config::parse_name_patterns(init.parts).empty(),
          "init.parts = '{}' names nothing to read; write all, or names of arrays, or remove init.from",
          init.parts);
}

// Scores of hidden vectors are also the experts'.
bool experts_learn_scores(const moe::RouterKind& kind) { return kind.scores == moe::ScoresOf::hidden_vectors; }

// What only a network that is trained would read.
void check_freeze(const Config& config, const moe::RouterKind& kind) {
  const std::string& freeze = config.train.freeze;
  require(!freeze.empty(), "train.freeze is empty; write none, gate or experts");
  const model::Frozen frozen = frozen_in(config);
  require(
      !frozen.gate || !frozen.experts,
      "train.freeze = {} names the whole model (nothing would be trained); leave out the gate or the experts",
      freeze);
  require(!frozen.experts || config.moe.expert_temperature == 1,
          "moe.expert_temperature = {} with train.freeze = {} (only experts that learn read it); set it to 1",
          config.moe.expert_temperature, freeze);
  if (!frozen.gate) return;
  for (const auto& [key, weight] : moe::regulariser_weights(config.moe)) {
    require(weight == 0 || experts_learn_scores(kind),
            "moe.{} = {} with train.freeze = {} (it could only change the gate); set it to 0", key, weight,
            freeze);
  }
  const optim::Options defaults;
  require(config.optim.gate_name == defaults.gate_name &&
              config.optim.gate_learning_rate == defaults.gate_learning_rate,
          "optim.gate_name or optim.gate_learning_rate is set with train.freeze = {} (the gate has no "
          "optimiser); remove it",
          freeze);
}

}  // namespace

bool takes_regularisers(const Config& config) {
  const moe::RouterKind kind = moe::parse_gate(model::gate_text(config.model, config.moe)).kind;
  const bool learns = !frozen_in(config).gate || experts_learn_scores(kind);
  return config.moe.experts > 1 && kind.has_network && learns;
}

void validate(const Config& config) {
  schema().check(config);
  require(!config.run.dir.empty(),
          "run.dir is empty (a run keeps its files there); give a folder, such as runs/first");
  data::validate(data_options(config));
  check_networks(config);
  // What gate, experts, loss and regularisers need of each other. Expects networks that parse.
  const moe::RouterKind kind = moe::parse_gate(model::gate_text(config.model, config.moe)).kind;
  check_family(config, kind);
  check_gate_without_network(config, kind);
  const std::string gate = model::gate_text(config.model, config.moe);
  moe::validate({config.moe, gate, config.model.loss == model::Loss::likelihood});
  check_mixture(config, kind);
  check_init(config.init);
  check_freeze(config, kind);
  optim::validate(config.optim);
  train::validate(config.train);
}

}  // namespace switchyard::run
