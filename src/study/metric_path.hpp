// Numbers of summary.json, by path: "test.error", and of a mixture layer of several "test.layers.1.h_u".
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "run/config.hpp"

namespace switchyard::study {

// The number at a path; nothing where there is none. "X.accuracy_percent" is 100 (1 - X.error) where the
// summary holds no such number itself.
std::optional<double> metric(const nlohmann::json& summary, std::string_view path);

// Mixture layers of a model of several; 0: the model is one. Summaries have other numbers.
index_t layers_of(const run::Config& config);

// ConfigError, with the nearest known path, if no summary of a model with one of these numbers of layers has a
// number there. `key` is for the message: "study.metrics".
void require_metric(std::string_view path, std::string_view key, std::string_view where,
                    const std::set<index_t>& layers);

}  // namespace switchyard::study
