// What the keys of [moe] need of each other, of the gate and of the loss.
#pragma once

#include "moe/router_kind.hpp"

namespace switchyard::run {

struct Config;

// ConfigError for the first that lacks what it needs. `kind` is that of the configuration's gate.
void check_mixture(const Config& config, const moe::RouterKind& kind);

}  // namespace switchyard::run
