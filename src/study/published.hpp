// Published values, to stand beside a study's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::study {

struct PublishedValue {
  std::string arm;
  std::string metric;
  std::optional<double> step;  // nothing: of a finished training
  double value = 0;
  std::optional<double> standard_deviation;
};

// CSV with a first line arm,metric,step,value,std; step and std may be empty. `where` names the file.
// ConfigError with the line of a mistake.
std::vector<PublishedValue> parse_published(std::string_view text, std::string_view where);
// Reads the file. ConfigError if that fails.
std::vector<PublishedValue> read_published(const std::string& path);

// The value of an arm after its training, or null.
const PublishedValue* find_published(const std::vector<PublishedValue>& values, std::string_view arm,
                                     std::string_view metric);

}  // namespace switchyard::study
