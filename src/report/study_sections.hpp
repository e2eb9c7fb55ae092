// The parts of a study's page.
#pragma once

#include <filesystem>
#include <string>

#include "report/study_data.hpp"

namespace switchyard::report {

std::string study_spread(const StudyData& study);       // box plots across seeds
std::string study_differences(const StudyData& study);  // a forest plot per metric
// Mean curves over steps: reads the metrics.jsonl of every finished run.
std::string study_curves(const StudyData& study, const std::filesystem::path& folder);

}  // namespace switchyard::report
