#include "model/layer_options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/span.hpp"
#include "model/objective.hpp"

namespace switchyard::model {
namespace {

// The partition by label. Throws ConfigError unless it has the task's classes, all of them.
Vector<std::int32_t> expert_of_label(const MixtureOptions& mixture, index_t classes) {
  const auto groups = moe::parse_partition(mixture.moe.partition, mixture.moe.experts);
  Vector<std::int32_t> expert(classes, -1);
  for (std::size_t e = 0; e < groups.size(); ++e) {
    for (const std::int32_t label : groups[e]) {
      if (label >= classes) {
        throw ConfigError(fmt::format(
            "moe.partition has label {}, and the data have {} classes (from 0); remove it", label, classes));
      }
      expert[label] = static_cast<std::int32_t>(e);
    }
  }
  const auto missing = std::ranges::find(expert, -1);
  if (missing != expert.end()) {
    throw ConfigError(
        fmt::format("moe.partition leaves out label {} of {} (its samples would have no expert); add it",
                    missing - expert.begin(), classes));
  }
  return expert;
}

// The gate's network, if it has one: `hidden` is the width of an expert's hidden vector.
nn::NetworkShape gate_shape(Span<const nn::LayerSpec> gate, moe::GateKind kind, const MixtureOptions& mixture,
                            const Task& task, index_t hidden) {
  if (!moe::has_network(kind)) return {};
  const bool attentive = kind == moe::GateKind::attention;
  if (attentive && hidden == 0) {
    throw ConfigError(
        fmt::format("model.gate ends in attention:experts, and model.expert = '{}' has no hidden vector to "
                    "attend to (that of the dense layer before the last); write such as: dense:32 relu "
                    "dense:classes",
                    mixture.networks.expert));
  }
  return nn::NetworkShape::resolve("gate", gate, task.sample, attentive ? hidden : mixture.moe.experts);
}

// V-MoE (Riquelme et al. 2021) has normal noise with standard deviation 1/E.
double noise_scale(const moe::Options& moe) {
  if (moe.noise_scale > 0) return moe.noise_scale;
  return moe.noise == moe::GateNoise::normal ? 1.0 / static_cast<double>(moe.experts) : 1.0;
}

}  // namespace

moe::LayerOptions layer_options(const MixtureOptions& mixture, const Task& task) {
  const auto gate = nn::parse_network(mixture.networks.gate, nn::NetworkRole::gate);
  const moe::GateKind kind = moe::gate_kind(gate);
  const std::unique_ptr<Objective> objective = Objective::make(mixture, task.classes);
  const nn::InitialValues init = mixture.networks.init;
  nn::NetworkShape expert =
      nn::NetworkShape::resolve("expert", nn::parse_network(mixture.networks.expert, nn::NetworkRole::expert),
                                task.sample, objective->outputs());
  expert.shows_hidden = kind == moe::GateKind::attention;
  const nn::NetworkShape network = gate_shape(gate, kind, mixture, task, expert.hidden());
  const index_t layers = nn::Network(network).layer_count();
  if (mixture.moe.similarity_layer > layers) {
    throw ConfigError(fmt::format(
        "moe.similarity_layer = {} (model.gate has {} layers with weights); give one of them, or 0 for the "
        "samples themselves",
        mixture.moe.similarity_layer, layers));
  }
  moe::GateOptions routing{mixture.moe, kind, task.classes, objective->measure(), {}};
  routing.noise_scale = noise_scale(mixture.moe);
  if (kind == moe::GateKind::by_label) routing.expert_of_label = expert_of_label(mixture, task.classes);
  return {.gate = network,
          .expert = expert,
          .outputs = objective->outputs(),
          .routing = routing,
          .head = objective->head(),
          .gate_options = {{.replicated = true, .batch_size = mixture.batch_size, .shards = mixture.shards},
                           mixture.precision,
                           {init, mixture.networks.gate_init_scale, mixture.draw},
                           mixture.freeze == Freeze::gate},
          .expert_options = {{},
                             mixture.precision,
                             {init, mixture.networks.expert_init_scale, mixture.draw},
                             mixture.freeze == Freeze::experts},
          .seed = mixture.seed};
}

}  // namespace switchyard::model
