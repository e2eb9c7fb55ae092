// How far a run has come, from its metrics.jsonl: quick, for many runs at once.
#pragma once

#include <filesystem>
#include <limits>
#include <map>
#include <string>

#include "report/json_fields.hpp"

namespace switchyard::report {

struct MetricsScan {
  double last_step = 0;
  double steps_per_epoch = std::numeric_limits<double>::quiet_NaN();  // NaN: the first epoch has not ended
  double records = 0;                                                 // of steps
  double seconds = 0;                                                 // of those
  std::map<std::string, Json, std::less<>> newest;                    // evaluation by split
};

// Of step records it looks at `step`, `epoch` and `time` alone, where run/metrics.cpp puts them, and passes
// over what is none: the report of a run says what is wrong with a file. Nothing of a file that is not there.
// DataError for one that cannot be read.
MetricsScan scan_metrics(const std::filesystem::path& path);

}  // namespace switchyard::report
