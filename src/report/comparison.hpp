// Two or more runs beside each other: what their page shows.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "report/figure.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {

struct Comparison {
  std::vector<RunData> runs;       // two or more; others are compared with the first
  std::vector<std::string> names;  // of the runs, all different
};

// As many as colours and strokes tell apart.
inline constexpr std::size_t most_compared = 3 * colour_count;

// Reads the runs. ConfigError for more than `most_compared` folders, for a run that is named twice and for a
// study; DataError for what is no run, or a broken one.
Comparison read_comparison(const std::vector<std::filesystem::path>& folders);

// The shortest parts of paths that tell them apart: without the folders that all begin or end with
// ("runs/a/seed-0001" and "runs/b/seed-0001" are "a" and "b"). No two paths are the same.
std::vector<std::string> telling_names(const std::vector<std::filesystem::path>& folders);

// A line of a table with a column for each run.
struct ComparedText {
  std::string name;
  std::vector<std::string> values;  // of the runs; empty: it has none
};
// The keys of the configurations whose values differ between the runs, but for those of `own`: what only says
// which run it is.
std::vector<ComparedText> differing_keys(const Comparison& comparison, const std::vector<std::string>& own);
// What differs of the builds of the binaries that ended the runs.
std::vector<ComparedText> differing_builds(const Comparison& comparison);

// The results, as tables (HTML).
std::string comparison_results(const Comparison& comparison);
// Loss, error and other scores over steps, a curve for each run that recorded them.
std::string comparison_learning(const Comparison& comparison);
// How the experts of each run are used: of models that are one mixture. Empty: fewer than two runs say.
std::string comparison_experts(const Comparison& comparison);
// A section for each mixture layer that two runs or more have by one name.
std::string comparison_layers(const Comparison& comparison);

}  // namespace switchyard::report
