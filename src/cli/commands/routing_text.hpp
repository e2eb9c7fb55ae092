// How a run's gate chooses and weighs experts, in words.
#pragma once

#include <string>
#include <string_view>

#include "moe/layer.hpp"

namespace switchyard::run {
struct Config;
}

namespace switchyard::cli {

// The value of a key, for tables.
std::string text_of(const run::Config& config, std::string_view key);
// Which experts see a sample: "dense", "top-2", "one by its label".
std::string choice_text(const moe::GateOptions& gate);
// What weighs them, as far as it has a say with this kind of gate: "weight softmax, noise none".
std::string routing_text(const run::Config& config, const moe::LayerOptions& options);

}  // namespace switchyard::cli
