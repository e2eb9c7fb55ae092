// A study's results as files: functions from results to text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "study/published.hpp"
#include "study/results.hpp"

namespace switchyard::study {

// One row per run, selection runs among them: stage,arm,seed,values,status and the metrics, which are empty
// where a run has none.
std::string results_csv(const Results& results);

// For people: mean and sample standard deviation per arm, the best run of each beside the published value, and
// the paired differences to the baseline with 95% confidence intervals.
std::string results_markdown(const Results& results, const std::vector<report::PublishedValue>& published);

// docs/studies.md lists the members.
nlohmann::ordered_json results_object(const Results& results,
                                      const std::vector<report::PublishedValue>& published);

}  // namespace switchyard::study
