// What no single field can say: rules that join fields.
#pragma once

namespace switchyard::run {

struct Config;

// Checks every field's range again (a Config may be made by code), then the rules that join fields. The first
// broken rule is a ConfigError. Looks at no file, device or rank.
void validate(const Config& config);

// Whether a regulariser of the gate's scores would be accepted and could change something: for advice.
bool takes_regularisers(const Config& config);

}  // namespace switchyard::run
