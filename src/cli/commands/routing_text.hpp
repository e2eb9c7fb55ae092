// How a run's gate chooses and weighs experts, in words.
#pragma once

#include <string>

#include "config/config.hpp"
#include "moe/layer.hpp"

namespace switchyard::cli {

// Which experts see a sample: "dense", "top-2", "one by its label".
std::string choice_text(const moe::GateOptions& gate);
// What weighs them, as far as it has a say with this kind of gate: "weight softmax, noise none".
std::string routing_text(const config::Config& config, const moe::LayerOptions& options);

}  // namespace switchyard::cli
