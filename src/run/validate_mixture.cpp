#include "run/validate_mixture.hpp"

#include "config/require.hpp"
#include "run/config.hpp"

namespace switchyard::run {
namespace {

using config::require;

std::string loss_of(const Config& config) { return schema().text(config, "model.loss"); }

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

// What only a classifier, or only a regression, has.
void check_labels(const Config& config, const moe::RouterKind& kind) {
  if (config.model.family != model::Family::mixture) return;
  const std::string loss = loss_of(config);
  const bool of_numbers = model::kind_of(config.model.loss).of_numbers;
  require(config.model.loss == model::Loss::gaussian || config.model.deviation == model::Options().deviation,
          "model.deviation = {} with model.loss = {} (only gaussian reads it); remove it",
          config.model.deviation, loss);
  require(
      of_numbers || !config.data.scale_targets,
      "data.scale_targets = yes with model.loss = {} (its labels are classes); remove it, or use squared_error "
      "or gaussian",
      loss);
  require(!of_numbers || !config.data.validation_balanced,
          "data.validation_balanced = yes with model.loss = {} (its labels are no classes); remove it", loss);
  require(
      !of_numbers || !kind.reads_labels,
      "model.gate = {} with model.loss = {} (it chooses by the class of a sample, and labels are real numbers); "
      "use another gate",
      config.model.gate, loss);
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
  require(
      moe.capacity > 0 || moe.capacity_when == moe::When::training,
      "moe.capacity_when = {} with moe.capacity = 0 (experts take all that come, always); set moe.capacity, or "
      "remove it",
      word_of(moe, "capacity_when"));
  if (moe.capacity == 0) return;
  const auto [needed, given] = gate_words(config, "a gate that ends in dense:experts or cosine:experts,");
  require(
      kind.scores == moe::ScoresOf::samples && moe.top_k > 0,
      "moe.capacity = {} needs {}moe.top_k above 0 (where no scores choose, every expert has its share; {}moe.top_k = "
      "{}); set them, or set it to 0",
      moe.capacity, needed, given, moe.top_k);
  require(
      config.model.family != model::Family::mixture || !model::kind_of(config.model.loss).of_distributions,
      "moe.capacity = {} with model.loss = {} (it needs the distribution of every chosen expert, and a dropped "
      "sample has none of some); set it to 0, or use another loss",
      moe.capacity, loss_of(config));
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
          "moe.scale = {} with model.loss = {} (a mixture's weights are probabilities); set it to 1, or use "
          "another loss",
          moe.scale, loss_of(config));
  require(
      moe::weights_are_probabilities(moe),
      "moe.scores = {}, moe.normalise = {} and moe.top_k = {} with model.loss = {} (a mixture's weights add up "
      "to 1, and these do not); use moe.normalise = chosen with moe.top_k above 1, or another loss",
      word_of(moe, "scores"), word_of(moe, "normalise"), moe.top_k, loss_of(config));
  require(moe.scores == moe::GateScores::softmax || config.model.loss != model::Loss::predicted_loss,
          "moe.scores = sigmoid with model.loss = predicted_loss (the scores are the experts' losses); use "
          "softmax");
}

void check_noise_and_balance(const Config& config) {
  const moe::Options& moe = config.moe;
  const bool of_distributions =
      config.model.family == model::Family::mixture && model::kind_of(config.model.loss).of_distributions;
  require(
      !of_distributions || moe.gate_value != moe::GateValue::noisy_logit,
      "moe.gate_value = noisy_logit with model.loss = {} (a mixture's weights are probabilities); use another "
      "gate_value, or another loss",
      loss_of(config));
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
  const moe::Options defaults;
  require(
      moe.noise != moe::GateNoise::none ||
          (moe.noise_when == defaults.noise_when && moe.noise_draw == defaults.noise_draw),
      "moe.noise_when = {} or moe.noise_draw = {} with moe.noise = none (there is no noise to draw); remove it, or "
      "set moe.noise",
      word_of(moe, "noise_when"), word_of(moe, "noise_draw"));
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
      "up from); set moe.gradient_blocks to moe.replicas or more, when the run starts",
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

void check_mixture(const Config& config, const moe::RouterKind& kind) {
  check_choice(config, kind);
  check_labels(config, kind);
  check_shares(config, kind);
  check_capacity(config, kind);
  check_weights(config, kind);
  check_noise_and_balance(config);
  check_similarity(config.moe);
  check_replicas(config);
}

}  // namespace switchyard::run
