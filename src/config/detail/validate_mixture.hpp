// What gate, experts, loss and regularisers need of each other, and what has no meaning together.
#pragma once

#include "config/config.hpp"

namespace switchyard::config::detail {

// ConfigError for the first thing that is not right. Expects networks that parse.
void validate_mixture(const Config& config);

}  // namespace switchyard::config::detail
