#include "model/layer_options.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "model/head.hpp"

namespace switchyard::model {

moe::LayerOptions layer_options(const MixtureOptions& mixture, const Task& task) {
  const moe::GateSpec gate = moe::parse_gate(mixture.networks.gate);
  const std::unique_ptr<Head> head = make_head(mixture, task.classes);
  const nn::InitialValues init = mixture.networks.init;
  nn::NetworkShape expert = nn::NetworkShape::resolve("expert", moe::parse_expert(mixture.networks.expert),
                                                      task.sample, head->outputs());
  expert.shows_hidden = gate.kind.scores == moe::ScoresOf::hidden_vectors;
  nn::NetworkShape network;
  if (gate.kind.resolve != nullptr) {
    network = gate.kind.resolve(
        {mixture.moe, gate.layers, task.sample, task.classes, expert, mixture.networks.expert});
  }
  const index_t layers = nn::Network(network).layer_count();
  if (mixture.moe.similarity_layer > layers) {
    throw ConfigError(fmt::format(
        "moe.similarity_layer = {} (model.gate has {} layers with weights); give one of them, or 0 for the "
        "samples themselves",
        mixture.moe.similarity_layer, layers));
  }
  return {.gate = network,
          .expert = expert,
          .outputs = head->outputs(),
          .routing = {mixture.moe, gate.kind, task.classes, head->measure()},
          .head = kind_of(mixture.networks.loss).of_distributions ? moe::ExpertHead::log_softmax
                                                                  : moe::ExpertHead::none,
          .gate_options = {{.replicated = true, .batch_size = mixture.batch_size, .shards = mixture.shards},
                           mixture.precision,
                           {init, mixture.networks.gate_init_scale, mixture.draw},
                           mixture.frozen.gate},
          .expert_options = {{},
                             mixture.precision,
                             {init, mixture.networks.expert_init_scale, mixture.draw},
                             mixture.frozen.experts},
          .seed = mixture.seed};
}

}  // namespace switchyard::model
