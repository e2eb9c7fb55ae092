#include "cli/commands/routing_text.hpp"
#include "run/config.hpp"

#include <fmt/format.h>

namespace switchyard::cli {
namespace {

std::string noise_text(const run::Config& config, const moe::GateOptions& gate) {
  if (config.moe.noise == moe::GateNoise::none) return "none";
  return fmt::format("{} of scale {:.4g} ({}, {})", text_of(config, "moe.noise"), gate.noise_scale,
                     text_of(config, "moe.noise_draw"), text_of(config, "moe.noise_when"));
}

std::string temperature_text(const run::Config& config) {
  if (config.moe.expert_temperature == 1) return "";
  return fmt::format(", experts learn at temperature {}", config.moe.expert_temperature);
}

}  // namespace

std::string text_of(const run::Config& config, std::string_view key) { return run::schema().text(config, key); }

std::string choice_text(const moe::GateOptions& gate) {
  switch (gate.kind) {
    case moe::GateKind::by_label:
      return "one by its label";
    case moe::GateKind::single:
      return "nothing to choose";
    case moe::GateKind::network:
    case moe::GateKind::attention:
    case moe::GateKind::most_certain:
      return gate.top_k == 0 ? "dense" : fmt::format("top-{}", gate.top_k);
  }
  return "";
}

std::string routing_text(const run::Config& config, const moe::LayerOptions& options) {
  switch (options.routing.kind) {
    case moe::GateKind::network:
      return fmt::format("weight {}, noise {}{}", text_of(config, "moe.gate_value"),
                         noise_text(config, options.routing), temperature_text(config));
    case moe::GateKind::attention:
      return fmt::format("queries and keys of width {}", options.expert.hidden());
    case moe::GateKind::most_certain:
      return "the most certain expert answers";
    case moe::GateKind::by_label:
      return fmt::format("labels {}", config.moe.partition);
    case moe::GateKind::single:
      return "none, a single expert";
  }
  return "";
}

}  // namespace switchyard::cli
