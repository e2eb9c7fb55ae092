#include "run/validate.hpp"

#include <algorithm>

#include "config/name_pattern.hpp"
#include "config/require.hpp"
#include "moe/router_kind.hpp"
#include "nn/network_spec.hpp"
#include "run/config.hpp"

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
    const bool needs_image = has(Kind::conv) || has(Kind::padded_conv) || has(Kind::max_pool);
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
    require(config.train.precision == nn::Precision::float32 || !has(Kind::patch_filters),
            "train.precision = bf16 with patch_filters in model.{} (they compute in float32 only); use float32",
            is_gate ? "gate" : "expert");
    require(data::reads_images(config.data) || !needs_image,
            "model.{} has conv, padded_conv or max_pool layers (only data.source = idx and cifar have images); "
            "use dense layers, or data.source = idx",
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

// Only scores of the gate's own can choose before an expert ran, and only those can be told to ignore losses.
void check_choice(const Config& config, const moe::RouterKind& kind) {
  const moe::Options& moe = config.moe;
  const model::Loss loss = config.model.loss;
  const bool of_samples = kind.scores == moe::ScoresOf::samples;
  const bool chooses = moe.noise != moe::GateNoise::none || moe.top_k != 0;
  require(
      of_samples || moe.experts == 1 || !chooses,
      "moe.top_k = {} or moe.noise is set with model.gate = '{}' (only scores of the gate's own can choose "
      "before an expert ran; train densely, then distil: init.from); set moe.top_k = 0 and moe.noise = none",
      moe.top_k, config.model.gate);
  const bool dense_only = kind.scores == moe::ScoresOf::hidden_vectors ||
                          kind.scores == moe::ScoresOf::outputs || loss == model::Loss::predicted_loss;
  require(
      !dense_only || (moe.balance == 0 && moe.load == 0),
      "moe.balance = {} or moe.load = {} where every expert must see every sample (the load is even whatever "
      "the gate does); use moe.importance",
      moe.balance, moe.load);
  require(
      loss != model::Loss::predicted_loss ||
          (of_samples && moe.top_k == 0 && moe.gate_value == moe::GateValue::softmax),
      "model.loss = predicted_loss needs a gate that ends in dense:experts, moe.top_k = 0 and moe.gate_value = "
      "softmax (the gate predicts every expert's loss)");
  require(moe.expert_temperature == 1 ||
              (loss == model::Loss::likelihood && of_samples && moe.top_k != 1 && moe.experts > 1),
          "moe.expert_temperature = {} without model.loss = likelihood, a gate that ends in dense:experts and "
          "several experts a sample (it divides their scores where the experts learn from them); set it to 1",
          moe.expert_temperature);
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

// What a choice needs of a gate, and what the gate is, where the family has a text of it: that of a transformer
// always scores what it is given.
struct GateWords {
  std::string needed, given;
};
GateWords gate_words(const Config& config, std::string_view needed) {
  if (config.model.family == model::Family::transformer) return {};
  return {fmt::format("{} and ", needed), fmt::format("model.gate = '{}', ", config.model.gate)};
}

// What chooses by shares of all experts.
void check_shares(const Config& config, const moe::RouterKind& kind) {
  const moe::Options& moe = config.moe;
  const auto [needed, given] = gate_words(config, "a gate that ends in dense:experts");
  const bool can_choose = kind.scores == moe::ScoresOf::samples && moe::chooses(moe);
  require(
      moe.bias_rate == 0 || can_choose,
      "moe.bias_rate = {} needs {}moe.top_k below moe.experts (the bias is of the choice; {}moe.top_k = {}, "
      "moe.experts = {}); set them, or set it to 0",
      moe.bias_rate, needed, given, moe.top_k, moe.experts);
  require(
      moe.bias_rate == 0 || moe.noise == moe::GateNoise::none,
      "moe.bias_rate = {} with moe.noise = {} (two ways to send samples elsewhere, of which noise would undo the "
      "other's balance); set one of them",
      moe.bias_rate, word_of(moe, "noise"));
  require(
      moe.bias_rate == 0 || moe.bias_rate >= 1e-6,
      "moe.bias_rate = {} (float32 shares of the order of 1 do not feel it); give at least 1e-6, such as 1e-3",
      moe.bias_rate);
  require((moe.groups == 0) == (moe.top_groups == 0),
          "moe.groups = {} with moe.top_groups = {} (so many groups are there, and so many of them may serve a "
          "sample); set both, or neither",
          moe.groups, moe.top_groups);
  if (moe.groups == 0) return;
  require(
      can_choose,
      "moe.groups = {} needs {}moe.top_k below moe.experts (groups limit the choice; {}moe.top_k = {}, moe.experts = "
      "{}); set them, or set moe.groups and moe.top_groups to 0",
      moe.groups, needed, given, moe.top_k, moe.experts);
  require(
      moe.noise == moe::GateNoise::none,
      "moe.groups = {} with moe.noise = {} (groups are compared by shares without noise); set moe.noise = none, or "
      "moe.groups and moe.top_groups to 0",
      moe.groups, word_of(moe, "noise"));
  require(
      moe.experts % moe.groups == 0,
      "moe.groups = {} does not divide moe.experts = {} (groups have as many experts each); change one of them",
      moe.groups, moe.experts);
  require(moe.top_groups < moe.groups,
          "moe.top_groups = {} of moe.groups = {} (it limits nothing); lower it, or set both to 0",
          moe.top_groups, moe.groups);
  require(
      moe.top_k <= moe.top_groups * (moe.experts / moe.groups),
      "moe.top_k = {} with moe.top_groups = {} of {} experts each (they have too few); lower moe.top_k, or raise "
      "moe.top_groups",
      moe.top_k, moe.top_groups, moe.experts / moe.groups);
}

// Which slots an expert takes is known before it runs, and what a dropped one adds is nothing.
void check_capacity(const Config& config, const moe::RouterKind& kind) {
  const moe::Options& moe = config.moe;
  require(moe.capacity > 0 || moe.drop == moe::DropBy::position,
          "moe.drop = {} with moe.capacity = 0 (experts take all that come, and nothing is dropped); set "
          "moe.capacity, or remove it",
          word_of(moe, "drop"));
  if (moe.capacity == 0) return;
  const auto [needed, given] = gate_words(config, "a gate that ends in dense:experts or cosine:experts,");
  require(
      kind.scores == moe::ScoresOf::samples && moe.top_k > 0,
      "moe.capacity = {} needs {}moe.top_k above 0 (where no scores choose, every expert has its share; {}moe.top_k = "
      "{}); set them, or set it to 0",
      moe.capacity, needed, given, moe.top_k);
  require(
      config.model.family != model::Family::mixture || !model::kind_of(config.model.loss).of_distributions,
      "moe.capacity = {} with model.loss = likelihood, stochastic or predicted_loss (they need the distribution "
      "of every chosen expert, and a dropped sample has none of some); set it to 0, or use another loss",
      moe.capacity);
}

// What weights are, where it is not the softmax of the scores of the chosen, or of one of all.
void check_weights(const Config& config, const moe::RouterKind& kind) {
  const moe::Options& moe = config.moe;
  const Config defaults;
  const bool are_usual = moe.scores == defaults.moe.scores && moe.normalise == defaults.moe.normalise &&
                         moe.scale == defaults.moe.scale;
  require(
      are_usual || kind.scores == moe::ScoresOf::samples,
      "moe.scores, moe.normalise or moe.scale is set with model.gate = '{}' (they are of a gate that scores "
      "the experts by the sample alone); remove them, or end it with dense:experts",
      config.model.gate);
  require(are_usual || moe.gate_value != moe::GateValue::noisy_logit,
          "moe.scores, moe.normalise or moe.scale is set with moe.gate_value = noisy_logit (the score itself "
          "multiplies an output, no weight); remove them, or use another gate_value");
  require(moe.normalise != moe::Normalise::chosen || moe.top_k != 1 || moe.experts == 1,
          "moe.normalise = chosen with moe.top_k = 1 (the weight would be 1 whatever the gate says, which then "
          "does not learn); use all or auto, or a larger moe.top_k");
  require(moe.scores == moe::GateScores::softmax || moe.z_loss == 0,
          "moe.z_loss = {} with moe.scores = sigmoid (a sigmoid is the same beside any other score, so their "
          "exponentials have no sum to keep small); set it to 0",
          moe.z_loss);
  if (config.model.family != model::Family::mixture || !model::kind_of(config.model.loss).of_distributions)
    return;
  require(moe.scale == 1,
          "moe.scale = {} with model.loss = likelihood, stochastic or predicted_loss (a mixture's weights are "
          "probabilities); set it to 1, or use another loss",
          moe.scale);
  require(moe::weights_are_probabilities(moe),
          "moe.scores = {}, moe.normalise = {} and moe.top_k = {} with model.loss = likelihood, stochastic or "
          "predicted_loss (a mixture's weights add up to 1, and these do not); use moe.normalise = chosen with "
          "moe.top_k above 1, or another loss",
          word_of(moe, "scores"), word_of(moe, "normalise"), moe.top_k);
  require(moe.scores == moe::GateScores::softmax || config.model.loss != model::Loss::predicted_loss,
          "moe.scores = sigmoid with model.loss = predicted_loss (the scores are the experts' losses); use "
          "softmax");
}

void check_mixture(const Config& config) {
  const moe::Options& moe = config.moe;
  const bool of_distributions =
      config.model.family == model::Family::mixture && model::kind_of(config.model.loss).of_distributions;
  require(
      !of_distributions || moe.gate_value != moe::GateValue::noisy_logit,
      "moe.gate_value = noisy_logit with model.loss = likelihood, stochastic or predicted_loss (a mixture's "
      "weights are probabilities); use another gate_value, or another loss");
  require(
      moe.noise != moe::GateNoise::none || moe.gate_value == moe::GateValue::softmax,
      "moe.gate_value names noise, and moe.noise = none (there is none to add); set moe.noise = uniform, or "
      "moe.gate_value = softmax");
  require(moe.noise == moe::GateNoise::none || moe.top_k > 0,
          "moe.noise = {} with moe.top_k = 0 (every expert sees every sample, so noise chooses nothing); set "
          "moe.top_k, or moe.noise = none",
          moe.noise == moe::GateNoise::normal ? "normal" : "uniform");
  require(
      moe.noise != moe::GateNoise::none || moe.noise_scale == 0,
      "moe.noise_scale = {} with moe.noise = none (there is no noise to scale); remove it, or set moe.noise",
      moe.noise_scale);
  require(moe.noise_scale == 0 || moe.noise_scale >= 1e-6,
          "moe.noise_scale = {} (float32 scores of the order of 1 do not feel it); give at least 1e-6, or 0 "
          "for the default",
          moe.noise_scale);
  require(moe.top_k <= moe.experts,
          "more top-k than experts (moe.top_k = {}, moe.experts = {}); lower moe.top_k, or set it to 0 for all "
          "experts",
          moe.top_k, moe.experts);
  require(moe.load == 0 || (moe.noise == moe::GateNoise::normal && moe.top_k > 0 && moe.top_k < moe.experts),
          "moe.load = {} needs moe.noise = normal and moe.top_k below moe.experts (it derives the chance that "
          "noise chooses an expert; moe.top_k = {}, moe.experts = {}); set them, or use moe.importance",
          moe.load, moe.top_k, moe.experts);
  require(
      (moe.top_k > 0 && moe.top_k < moe.experts) || moe.balance == 0 || moe.experts == 1,
      "moe.balance = {} where every expert sees every sample (the load is even whatever the gate does); set "
      "moe.top_k below moe.experts, or use moe.importance",
      moe.balance);
  require(moe.experts > 1 || moe.balance == 0,
          "moe.balance = {} with one expert (there is nothing to balance); set it to 0, or raise moe.experts",
          moe.balance);
  require(
      moe.experts > 1 || moe.importance == 0,
      "moe.importance = {} with one expert (there is nothing to balance); set it to 0, or raise moe.experts",
      moe.importance);
}

// Copies of an expert have some of its rows each.
void check_replicas(const Config& config) {
  const moe::Options& moe = config.moe;
  require(
      moe.replicas == 1 || moe.gradient_blocks >= moe.replicas,
      "moe.replicas = {} with moe.gradient_blocks = {} (replicas share out the blocks that a gradient is added "
      "up from); set moe.gradient_blocks to a multiple of moe.replicas, when the run starts",
      moe.replicas, moe.gradient_blocks);
  require(
      moe.replicas == 1 || config.model.expert.find("batch_norm") == std::string::npos,
      "moe.replicas = {} with batch_norm in model.expert (its statistics are of all rows of an expert); set "
      "moe.replicas = 1",
      moe.replicas);
}

void check_similarity(const moe::Options& moe) {
  const bool published = moe.similarity_same > 0 || moe.similarity_different > 0;
  require(
      moe.similarity == 0 || !published,
      "moe.similarity = {} together with moe.similarity_same = {} and moe.similarity_different = {} (they are "
      "two forms of one regulariser); set moe.similarity alone, or the other two",
      moe.similarity, moe.similarity_same, moe.similarity_different);
  require(
      moe.similarity > 0 || published || moe.similarity_layer == 0,
      "moe.similarity_layer = {} without a similarity regulariser (nothing takes distances of it); remove it, "
      "or set moe.similarity",
      moe.similarity_layer);
  require(
      moe.experts > 1 || (moe.similarity == 0 && !published),
      "moe.similarity = {}, similarity_same = {} or similarity_different = {} with one expert (all samples go "
      "to it); set them to 0, or raise moe.experts",
      moe.similarity, moe.similarity_same, moe.similarity_different);
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
  check_choice(config, kind);
  check_shares(config, kind);
  check_capacity(config, kind);
  check_weights(config, kind);
  check_mixture(config);
  check_similarity(config.moe);
  check_replicas(config);
  check_init(config.init);
  check_freeze(config, kind);
  optim::validate(config.optim);
  train::validate(config.train);
}

}  // namespace switchyard::run
