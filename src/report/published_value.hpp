// A value that somebody published, beside which a study's own stand.
#pragma once

#include <optional>
#include <string>

namespace switchyard::report {

struct PublishedValue {
  std::string arm;
  std::string metric;
  std::optional<double> step;  // of a curve's point; nothing: of a finished training
  double value = 0;
  std::optional<double> standard_deviation;
};

}  // namespace switchyard::report
