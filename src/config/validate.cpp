#include "config/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "config/class_partition.hpp"
#include "config/network_spec.hpp"
#include "config/parse.hpp"

namespace switchyard::config {
namespace {

template <class... Args>
void require(bool holds, fmt::format_string<Args...> message, Args&&... args) {
  if (!holds) throw ConfigError(fmt::format(message, std::forward<Args>(args)...));
}

// Each value through its own text: ranges, and that to_ini() could carry it.
void check_fields(const Config& config) {
  Config copy;
  for (const Section& section : sections()) {
    for (const Field& field : section.fields)
      set(copy, field.name(), value_text(config, field), "configuration");
  }
}

// The sources that read images from files.
bool has_images(const Data& data) { return data.source == DataSource::idx || data.source == DataSource::cifar; }

void check_data(const Config& config) {
  const Data& data = config.data;
  const bool cifar = data.source == DataSource::cifar;
  require(!has_images(data) || !data.dir.empty(),
          "data.dir is empty (data.source = {} reads its files there); give the folder, on the command line "
          "with --data.dir=FOLDER, or set data.source = random",
          cifar ? "cifar" : "idx");
  require(cifar || data.labels == LabelLevel::fine,
          "data.labels = coarse without data.source = cifar (only CIFAR-100 has two labels); remove it");
  require(cifar || data.augment == Augmentation::none,
          "data.augment = flip_crop without data.source = cifar (no other samples are augmented); remove it");
  const Data defaults;
  require(
      data.source != DataSource::clusters ||
          (data.mean == defaults.mean && data.standard_deviation == defaults.standard_deviation),
      "data.mean or data.standard_deviation is set with data.source = clusters (its samples are numbers, not "
      "pixels); remove them");
  require(!has_images(data) || data.seed == 0,
          "data.seed = {} with samples from files (they need no seed); remove it", data.seed);
  require(data.cluster_patch_size >= 2 * data.clusters,
          "data.cluster_patch_size = {} is below 2 x {} clusters (signals and centres are orthogonal); raise "
          "it, or "
          "lower data.clusters",
          data.cluster_patch_size, data.clusters);
  const auto range = [](const char* name, double min, double max) {
    require(min <= max,
            "data.{0}_min = {1} is above data.{0}_max = {2} (numbers are drawn between them); swap them", name,
            min, max);
  };
  range("cluster_signal", data.cluster_signal_min, data.cluster_signal_max);
  range("cluster_center", data.cluster_center_min, data.cluster_center_max);
  range("cluster_noise", data.cluster_noise_min, data.cluster_noise_max);
}

void check_networks(const Config& config) {
  for (const NetworkRole role : {NetworkRole::gate, NetworkRole::expert}) {
    const bool is_gate = role == NetworkRole::gate;
    const auto layers = parse_network(is_gate ? config.model.gate : config.model.expert, role);
    const bool needs_image = std::any_of(layers.begin(), layers.end(), [](const LayerSpec& layer) {
      return layer.kind == LayerSpec::Kind::conv || layer.kind == LayerSpec::Kind::max_pool;
    });
    const bool has_filters = std::any_of(layers.begin(), layers.end(), [](const LayerSpec& layer) {
      return layer.kind == LayerSpec::Kind::patch_filters;
    });
    require(config.train.precision == Precision::float32 || !has_filters,
            "train.precision = bf16 with patch_filters in model.{} (they compute in float32 only); use float32",
            is_gate ? "gate" : "expert");
    require(has_images(config.data) || !needs_image,
            "model.{} has conv or max_pool layers (only data.source = idx and cifar have images); use dense "
            "layers, or data.source = idx",
            is_gate ? "gate" : "expert");
  }
}

// Whether the loss reads distributions, of experts that end in a softmax.
bool mixes_distributions(Loss loss) {
  return loss == Loss::likelihood || loss == Loss::stochastic || loss == Loss::predicted_loss;
}

// What the kinds of gates need, and what has no meaning with them.
void check_gate(const Config& config) {
  using Kind = LayerSpec::Kind;
  const Moe& moe = config.moe;
  const Loss loss = config.model.loss;
  const std::vector<LayerSpec> gate = parse_network(config.model.gate, NetworkRole::gate);
  const Kind kind = scoring_layer(gate);
  require(
      !gate.empty() || moe.experts == 1,
      "model.gate = none with moe.experts = {} (nothing chooses among the experts); write its layers, such as: "
      "dense:32 relu dense:experts, or set moe.experts = 1",
      moe.experts);
  require(
      (kind == Kind::labels) == !moe.partition.empty(),
      "moe.partition = '{}' with model.gate = '{}' (the partition is what a gate labels:experts reads); set "
      "both, or neither",
      moe.partition, config.model.gate);
  if (kind == Kind::labels) parse_partition(moe.partition, moe.experts);
  const bool by_network = !gate.empty() && (kind == Kind::dense || kind == Kind::attention);
  const double regularisers = moe.importance + moe.balance + moe.load + moe.z_loss + moe.gate_entropy +
                              moe.similarity + moe.similarity_same + moe.similarity_different;
  require(by_network || regularisers == 0,
          "a regulariser of the gate is set with model.gate = '{}' (it has no scores that could learn); remove "
          "moe.importance, balance, load, z_loss, gate_entropy and similarity",
          config.model.gate);
  require(
      (!gate.empty() && kind == Kind::dense) ||
          (moe.noise == GateNoise::none && (moe.top_k == 0 || moe.experts == 1)),
      "moe.top_k = {} or moe.noise is set with model.gate = '{}' (only scores of the gate's own can choose "
      "before an expert ran; train densely, then distil: init.from); set moe.top_k = 0 and moe.noise = none",
      moe.top_k, config.model.gate);
  require(kind != Kind::loudest || loss == Loss::likelihood,
          "model.gate = loudest:experts with another loss than model.loss = likelihood (certainty is of "
          "distributions, and one expert answers); set model.loss = likelihood");
  require(
      loss != Loss::predicted_loss ||
          (!gate.empty() && kind == Kind::dense && moe.top_k == 0 && moe.gate_value == GateValue::softmax),
      "model.loss = predicted_loss needs a gate that ends in dense:experts, moe.top_k = 0 and moe.gate_value = "
      "softmax (the gate predicts every expert's loss)");
  require(
      moe.expert_temperature == 1 || (loss == Loss::likelihood && by_network && kind == Kind::dense),
      "moe.expert_temperature = {} without model.loss = likelihood and a gate that ends in dense:experts (it "
      "divides that gate's scores where the experts learn from them); set it to 1",
      moe.expert_temperature);
}

void check_init(const Init& init) {
  require(init.parts == InitParts::all || !init.from.empty(),
          "init.parts = {} without init.from (nothing is read); give the checkpoint, or remove it",
          init.parts == InitParts::gate ? "gate" : "experts");
}

// What only a network that is trained would read.
void check_freeze(const Config& config) {
  using Kind = LayerSpec::Kind;
  const Freeze freeze = config.train.freeze;
  if (freeze == Freeze::none) return;
  const Moe& moe = config.moe;
  const std::vector<LayerSpec> gate = parse_network(config.model.gate, NetworkRole::gate);
  const bool has_network =
      !gate.empty() && scoring_layer(gate) != Kind::loudest && scoring_layer(gate) != Kind::labels;
  require(has_network,
          "train.freeze = {} with model.gate = '{}' (that gate has no network, so {}); set it to none",
          freeze == Freeze::gate ? "gate" : "experts", config.model.gate,
          freeze == Freeze::gate ? "it never changes" : "nothing would be trained");
  require(
      freeze != Freeze::experts || moe.expert_temperature == 1,
      "moe.expert_temperature = {} with train.freeze = experts (only experts that learn read it); set it to 1",
      moe.expert_temperature);
  if (freeze == Freeze::experts) return;
  // An attentive gate's scores are also the experts', through their hidden vectors.
  for (const auto& [key, weight] :
       {std::pair{"importance", moe.importance}, std::pair{"balance", moe.balance}, std::pair{"load", moe.load},
        std::pair{"z_loss", moe.z_loss}, std::pair{"gate_entropy", moe.gate_entropy},
        std::pair{"similarity", moe.similarity}, std::pair{"similarity_same", moe.similarity_same},
        std::pair{"similarity_different", moe.similarity_different}}) {
    require(weight == 0 || scoring_layer(gate) == Kind::attention,
            "moe.{} = {} with train.freeze = gate (it could only change the gate); set it to 0", key, weight);
  }
  const Optim defaults;
  require(config.optim.gate_name == defaults.gate_name &&
              config.optim.gate_learning_rate == defaults.gate_learning_rate,
          "optim.gate_name or optim.gate_learning_rate is set with train.freeze = gate (the gate has no "
          "optimiser); remove it");
}

void check_mixture(const Moe& moe, Loss loss) {
  require(
      !mixes_distributions(loss) || moe.gate_value != GateValue::noisy_logit,
      "moe.gate_value = noisy_logit with model.loss = likelihood, stochastic or predicted_loss (a mixture's "
      "weights are probabilities); use another gate_value, or another loss");
  require(
      moe.noise != GateNoise::none || moe.gate_value == GateValue::softmax,
      "moe.gate_value names noise, and moe.noise = none (there is none to add); set moe.noise = uniform, or "
      "moe.gate_value = softmax");
  require(moe.noise == GateNoise::none || moe.top_k > 0,
          "moe.noise = {} with moe.top_k = 0 (every expert sees every sample, so noise chooses nothing); set "
          "moe.top_k, or moe.noise = none",
          moe.noise == GateNoise::normal ? "normal" : "uniform");
  require(
      moe.noise != GateNoise::none || moe.noise_scale == 0,
      "moe.noise_scale = {} with moe.noise = none (there is no noise to scale); remove it, or set moe.noise",
      moe.noise_scale);
  require(moe.load == 0 || (moe.noise == GateNoise::normal && moe.top_k > 0 && moe.top_k < moe.experts),
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
  require(moe.top_k <= moe.experts,
          "more top-k than experts (moe.top_k = {}, moe.experts = {}); lower moe.top_k, or set it to 0 for all "
          "experts",
          moe.top_k, moe.experts);
  require(
      moe.experts > 1 || moe.importance == 0,
      "moe.importance = {} with one expert (there is nothing to balance); set it to 0, or raise moe.experts",
      moe.importance);
}

void check_similarity(const Moe& moe) {
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

void check_optimizer(const Optim& optim) {
  const Optim defaults;
  const bool adam = optim.name == OptimizerKind::adam || optim.gate_name == GateOptimizer::adam;
  const bool sgd = optim.name != OptimizerKind::adam || optim.gate_name == GateOptimizer::sgd ||
                   optim.gate_name == GateOptimizer::normalised_sgd;
  require(sgd || optim.momentum == 0,
          "optim.momentum = {} with optim.name = adam (only sgd has a momentum); set optim.beta1, or "
          "optim.name = sgd",
          optim.momentum);
  require(adam || (optim.beta1 == defaults.beta1 && optim.beta2 == defaults.beta2 &&
                   optim.epsilon == defaults.epsilon),
          "optim.beta1, beta2 or epsilon is set without adam (only adam reads them; they are {}, {} "
          "and {}); "
          "remove them, or set optim.name = adam",
          optim.beta1, optim.beta2, optim.epsilon);
  const bool normalised =
      optim.name == OptimizerKind::normalised_sgd || optim.gate_name == GateOptimizer::normalised_sgd;
  require(normalised || optim.gradient_norm == defaults.gradient_norm,
          "optim.gradient_norm = sum_of_tensors without normalised_sgd (nothing else divides by it); remove "
          "it, or set "
          "optim.name = normalised_sgd");
  require(
      !normalised || optim.clip_norm == 0,
      "optim.clip_norm = {} with normalised_sgd (a gradient that is divided by its norm has nothing to clip); "
      "remove it",
      optim.clip_norm);
  require(optim.schedule_steps == 0 || optim.warmup_steps <= optim.schedule_steps,
          "optim.warmup_steps = {} exceeds optim.schedule_steps = {} (the schedule would end during warm-up); "
          "lower "
          "optim.warmup_steps or raise optim.schedule_steps",
          optim.warmup_steps, optim.schedule_steps);
}

void check_end(const Train& train) {
  require(train.stop_after_steps == 0 || train.stop_loss > 0 || train.stop_loss_rise > 0,
          "train.stop_after_steps = {} without train.stop_loss or stop_loss_rise (nothing stops the run "
          "early); set one "
          "of them, or remove it",
          train.stop_after_steps);
}

}  // namespace

void validate(const Config& config) {
  check_fields(config);
  require(!config.run.dir.empty(),
          "run.dir is empty (a run keeps its files there); give a folder, such as runs/first");
  check_data(config);
  check_networks(config);
  check_gate(config);
  check_mixture(config.moe, config.model.loss);
  check_similarity(config.moe);
  check_optimizer(config.optim);
  check_init(config.init);
  check_freeze(config);
  check_end(config.train);
}

}  // namespace switchyard::config
