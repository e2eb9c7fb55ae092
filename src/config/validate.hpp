// What no single field can say: rules that join fields.
#pragma once

#include "config/config.hpp"

namespace switchyard::config {

// Checks every field's range again (a Config may be made by code), then the rules that join fields. The first
// broken rule is a ConfigError. Looks at no file, device or rank.
void validate(const Config& config);

}  // namespace switchyard::config
