// The kinds of routers: what model.gate may ask for.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "moe/options.hpp"
#include "nn/network_spec.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
struct NetworkShape;
}

namespace switchyard::moe {

class Router;
struct RouterSetup;

// What the scores of the experts are of.
enum class ScoresOf {
  nothing,
  samples,         // before an expert runs, so that they can choose some of them
  outputs,         // what experts return: all of them run for every sample
  hidden_vectors,  // these, which experts return beside their output; the scores are the experts', too
};

// A configuration, as far as a router may have something against it.
struct RouterRequest {
  const Options& moe;
  std::string_view gate;  // model.gate
  bool of_likelihood;     // model.loss = likelihood
};

// What a router is asked for once the data are known.
struct RouterTask {
  const Options& moe;
  Span<const nn::LayerSpec> layers;  // of model.gate, without its end
  tensor::SampleShape sample;
  index_t classes;
  const nn::NetworkShape& expert;
  std::string_view expert_text;  // model.expert
};

// A row of the table in moe/router_kind.cpp. All else asks the row, never which one it is.
struct RouterKind {
  // What model.gate ends in: "attention" of attention:experts. Empty: a layer with an output for each expert.
  std::string_view end;
  ScoresOf scores = ScoresOf::nothing;
  bool reads_labels = false;     // the experts that see a sample follow from its label
  bool has_network = false;      // weights, and scores that learn; the layers of model.gate are its
  index_t slots = 0;             // of a sample; 0: moe.top_k, or one for each expert
  std::string_view choice = {};  // which experts see a sample, where moe.top_k does not say it
  // ConfigError for what has no meaning with it. Every row is asked about every configuration, so that an
  // option of its own is refused where another kind is `chosen`.
  void (*validate)(const RouterRequest& request, bool chosen) = nullptr;
  // The shape of its network, if it has one. ConfigError if the data or the experts do not fit it.
  nn::NetworkShape (*resolve)(const RouterTask& task) = nullptr;
  // What weighs the experts, in a few words.
  std::string (*describe)(const Options& moe, const nn::NetworkShape& network);
  std::unique_ptr<Router> (*make)(const RouterSetup& setup);
};

// What a text of model.gate says.
struct GateSpec {
  RouterKind kind;
  std::vector<nn::LayerSpec> layers;  // without its end
};
// ConfigError for a malformed text, as nn::parse_network().
GateSpec parse_gate(std::string_view text);
// The same of model.expert, which knows the words that only a gate may end in.
std::vector<nn::LayerSpec> parse_expert(std::string_view text, nn::NetworkRole role = nn::NetworkRole::expert);

// Asks every row. Expects a text that parses.
void validate(const RouterRequest& request);

}  // namespace switchyard::moe
