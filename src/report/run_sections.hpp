// The parts of a run's page. Each is empty where the run recorded nothing for it.
#pragma once

#include <string>
#include <vector>

#include "report/run_data.hpp"

namespace switchyard::report {

std::string run_headline(const RunData& run);
std::vector<std::string> run_warnings(const RunData& run);
std::string run_learning(const RunData& run);  // loss and error over steps
std::string run_experts(const RunData& run);   // share, usage, classes, entropies and information
std::string run_time(const RunData& run);      // seconds per phase

// "Curves show means of 8 steps each"; empty if every step is shown.
std::string binning_note(const RunData& run);
// A member of the evaluations of `split` over steps.
std::vector<Point> evaluation_points(const RunData& run, std::string_view split, std::string_view name);

}  // namespace switchyard::report
