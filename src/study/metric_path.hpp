// Numbers of summary.json, by path: "test.error".
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard::study {

// The number at a path; nothing where there is none. "X.accuracy_percent" is 100 (1 - X.error) where the
// summary holds no such number itself.
std::optional<double> metric(const nlohmann::json& summary, std::string_view path);

// ConfigError, with the nearest known path, if no summary has a number there. `key` is for the message:
// "study.metrics".
void require_metric(std::string_view path, std::string_view key, std::string_view where);

}  // namespace switchyard::study
