#include "model/layer_options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "config/class_partition.hpp"
#include "model/objective.hpp"

namespace switchyard::model {
namespace {

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

// The partition by label. Throws ConfigError unless it has the task's classes, all of them.
std::vector<std::int32_t> expert_of_label(const config::Config& config, index_t classes) {
  const auto groups = config::parse_partition(config.moe.partition, config.moe.experts);
  std::vector<std::int32_t> expert(at(classes), -1);
  for (std::size_t e = 0; e < groups.size(); ++e) {
    for (const std::int32_t label : groups[e]) {
      if (label >= classes) {
        throw ConfigError(fmt::format(
            "moe.partition has label {}, and the data have {} classes (from 0); remove it", label, classes));
      }
      expert[at(label)] = static_cast<std::int32_t>(e);
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
nn::NetworkShape gate_shape(std::span<const config::LayerSpec> gate, moe::GateKind kind,
                            const config::Config& config, const Task& task, index_t hidden) {
  switch (kind) {
    case moe::GateKind::network:
      return nn::NetworkShape::resolve("gate", gate, task.sample, config.moe.experts);
    case moe::GateKind::attention:
      if (hidden == 0) {
        throw ConfigError(
            fmt::format("model.gate ends in attention:experts, and model.expert = '{}' has no hidden vector to "
                        "attend to (that of the dense layer before the last); write such as: dense:32 relu "
                        "dense:classes",
                        config.model.expert));
      }
      return nn::NetworkShape::resolve("gate", gate, task.sample, hidden);
    case moe::GateKind::most_certain:
    case moe::GateKind::by_label:
    case moe::GateKind::single:
      return {};
  }
  return {};
}

void check_similarity_layer(const config::Moe& moe, const nn::NetworkShape& gate) {
  if (moe.similarity_layer > gate.layer_count()) {
    throw ConfigError(fmt::format(
        "moe.similarity_layer = {} (model.gate has {} layers with weights); give one of them, or 0 for the "
        "samples themselves",
        moe.similarity_layer, gate.layer_count()));
  }
}

// V-MoE (Riquelme et al. 2021) has normal noise with standard deviation 1/E.
double noise_scale(const config::Moe& moe) {
  if (moe.noise_scale > 0) return moe.noise_scale;
  return moe.noise == config::GateNoise::normal ? 1.0 / static_cast<double>(moe.experts) : 1.0;
}

}  // namespace

moe::LayerOptions layer_options(const config::Config& config, const Task& task) {
  const auto gate = config::parse_network(config.model.gate, config::NetworkRole::gate);
  const moe::GateKind kind = config::gate_kind(gate);
  const std::unique_ptr<Objective> objective = Objective::make(config, task.classes);
  const config::InitialValues init = config.model.init;
  const auto draw = static_cast<std::uint32_t>(config.init.draw);
  nn::NetworkShape expert = nn::NetworkShape::resolve(
      "expert", config::parse_network(config.model.expert, config::NetworkRole::expert), task.sample,
      objective->outputs());
  expert.shows_hidden = kind == moe::GateKind::attention;
  const nn::NetworkShape network = gate_shape(gate, kind, config, task, expert.hidden());
  check_similarity_layer(config.moe, network);
  return {.gate = network,
          .expert = expert,
          .outputs = objective->outputs(),
          .routing = {.kind = kind,
                      .experts = config.moe.experts,
                      .top_k = config.moe.top_k,
                      .classes = task.classes,
                      .measure = objective->measure(),
                      .value = config.moe.gate_value,
                      .noise = config.moe.noise,
                      .noise_scale = noise_scale(config.moe),
                      .noise_draw = config.moe.noise_draw,
                      .noise_when = config.moe.noise_when,
                      .expert_of_label = kind == moe::GateKind::by_label ? expert_of_label(config, task.classes)
                                                                         : std::vector<std::int32_t>{}},
          .head = objective->head(),
          .gate_options = {{.replicated = true,
                            .batch_size = config.train.batch_size,
                            .shards = config.train.shards},
                           config.train.precision,
                           {init, config.model.gate_init_scale, draw},
                           config.train.freeze == config::Freeze::gate},
          .expert_options = {{},
                             config.train.precision,
                             {init, config.model.expert_init_scale, draw},
                             config.train.freeze == config::Freeze::experts},
          .seed = config.run.seed};
}

}  // namespace switchyard::model
