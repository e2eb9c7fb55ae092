// What a model of tokens costs, as `plan` prints it.
#pragma once

#include <iosfwd>
#include <string>

#include "model/parity.hpp"
#include "moe/placement.hpp"
#include "moe/traffic.hpp"
#include "run/config.hpp"

namespace switchyard::cli {

// Parameters and FLOPs of a token by part, of a mixture layer and of the model; rows and bytes that a mixture
// layer exchanges.
void print_costs(std::ostream& out, const model::Outline& outline, const moe::Placement& placement);

struct ConfigurationFile {
  const std::string& path;
  const run::Config& config;
};
// The mixture layer of a model and all of it beside those of another configuration, which is asked about the
// same data, and the sizes that would make the layers equal. ConfigError for what is no model of tokens.
void print_match(std::ostream& out, const ConfigurationFile& own, const std::string& other,
                 const model::Task& task);

}  // namespace switchyard::cli
