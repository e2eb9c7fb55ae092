// Published values, to stand beside a study's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/published_value.hpp"

namespace switchyard::study {

// CSV with a first line arm,metric,step,value,std; step and std may be empty. `where` names the file.
// ConfigError with the line of a mistake.
std::vector<report::PublishedValue> parse_published(std::string_view text, std::string_view where);
// Reads the file. ConfigError if that fails.
std::vector<report::PublishedValue> read_published(const std::string& path);

}  // namespace switchyard::study
