// A value that somebody published, beside which a study's own stand.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::report {

struct PublishedValue {
  std::string arm;
  std::string metric;
  std::optional<double> step;  // of a curve's point; nothing: of a finished training
  double value = 0;
  std::optional<double> standard_deviation;
};

// The value of an arm after its training, or null.
inline const PublishedValue* find_published(const std::vector<PublishedValue>& values, std::string_view arm,
                                            std::string_view metric) {
  for (const PublishedValue& value : values) {
    if (value.arm == arm && value.metric == metric && !value.step) return &value;
  }
  return nullptr;
}

}  // namespace switchyard::report
