// What `switchyard predict` wrote, and the pictures of its samples, for a report.
#pragma once

#include <optional>

#include "cli/options.hpp"
#include "report/predictions.hpp"

namespace switchyard::cli {

// Of the one run of the line, if it has --predictions=FILE.h5. Samples are pictures where the run's data, with
// the keys of the line, can be read and are pictures; a warning says why they cannot. Throws ConfigError for
// keys that nothing reads, and for several runs; DataError for a file that is none of predict's, and for data
// that have other samples than it. Local.
std::optional<report::Predictions> predictions_of(const CommandLine& line);

}  // namespace switchyard::cli
