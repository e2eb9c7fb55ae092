#include "config/validate.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "config/detail/require.hpp"
#include "config/detail/validate_mixture.hpp"
#include "config/network_spec.hpp"
#include "config/parse.hpp"

namespace switchyard::config {
namespace {

using detail::require;

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
  require(has_images(data) || !data.validation_balanced,
          "data.validation_balanced = yes without data.source = idx or cifar (no other source has training "
          "files to take validation samples from); remove it");
  require(data.validation_samples != 0 || !data.validation_balanced,
          "data.validation_balanced = yes with data.validation_samples = 0 (there is no validation split); "
          "remove one of them");
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
          "it, or lower data.clusters",
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
      return layer.kind == LayerSpec::Kind::conv || layer.kind == LayerSpec::Kind::padded_conv ||
             layer.kind == LayerSpec::Kind::max_pool;
    });
    const bool has_filters = std::any_of(layers.begin(), layers.end(), [](const LayerSpec& layer) {
      return layer.kind == LayerSpec::Kind::patch_filters;
    });
    require(config.train.precision == Precision::float32 || !has_filters,
            "train.precision = bf16 with patch_filters in model.{} (they compute in float32 only); use float32",
            is_gate ? "gate" : "expert");
    require(has_images(config.data) || !needs_image,
            "model.{} has conv, padded_conv or max_pool layers (only data.source = idx and cifar have images); "
            "use dense layers, or data.source = idx",
            is_gate ? "gate" : "expert");
  }
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
          "optim.beta1, beta2 or epsilon is set without adam (only adam reads them; they are {}, {} and {}); "
          "remove them, or set optim.name = adam",
          optim.beta1, optim.beta2, optim.epsilon);
  // A moment has 24 binary digits: it stands still where a step moves it by less than its 2^-24th part.
  constexpr double smallest_share = 0x1p-20;
  for (const auto& [key, decay] :
       {std::pair{"beta1", optim.beta1}, {"beta2", optim.beta2}, {"momentum", optim.momentum}}) {
    require(1.0 - decay >= smallest_share,
            "optim.{} = {} is too near to 1 (a step would change {:.1g} of a moment, and float32 rounds that "
            "away); use at most 0.999999",
            key, decay, 1.0 - decay);
  }
  const bool normalised =
      optim.name == OptimizerKind::normalised_sgd || optim.gate_name == GateOptimizer::normalised_sgd;
  require(normalised || optim.gradient_norm == defaults.gradient_norm,
          "optim.gradient_norm = sum_of_tensors without normalised_sgd (nothing else divides by it); remove "
          "it, or set optim.name = normalised_sgd");
  require(
      !normalised || optim.clip_norm == 0,
      "optim.clip_norm = {} with normalised_sgd (a gradient that is divided by its norm has nothing to clip); "
      "remove it",
      optim.clip_norm);
  require(optim.schedule_steps == 0 || optim.warmup_steps <= optim.schedule_steps,
          "optim.warmup_steps = {} exceeds optim.schedule_steps = {} (the schedule would end during warm-up); "
          "lower optim.warmup_steps or raise optim.schedule_steps",
          optim.warmup_steps, optim.schedule_steps);
}

void check_end(const Train& train) {
  require(train.stop_after_steps == 0 || train.stop_loss > 0 || train.stop_loss_rise > 0,
          "train.stop_after_steps = {} without train.stop_loss or stop_loss_rise (nothing stops the run "
          "early); set one of them, or remove it",
          train.stop_after_steps);
}

}  // namespace

bool takes_regularisers(const Config& config) {
  const GateKind kind = gate_kind(config.model.gate);
  // An attentive gate's scores are also the experts'.
  const bool learns = config.train.freeze != Freeze::gate || kind == GateKind::attention;
  return config.moe.experts > 1 && has_network(kind) && learns;
}

void validate(const Config& config) {
  check_fields(config);
  require(!config.run.dir.empty(),
          "run.dir is empty (a run keeps its files there); give a folder, such as runs/first");
  check_data(config);
  check_networks(config);
  detail::validate_mixture(config);
  check_optimizer(config.optim);
  check_end(config.train);
}

}  // namespace switchyard::config
