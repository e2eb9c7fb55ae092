// What gate, experts, loss and moe::regulariser_weights need of each other, and what has no meaning together.
#pragma once

#include "run/config.hpp"

namespace switchyard::run::detail {

// ConfigError for the first thing that is not right. Expects networks that parse.
void validate_mixture(const Config& config);

}  // namespace switchyard::run::detail
