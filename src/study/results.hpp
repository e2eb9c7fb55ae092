// What came out of a study so far, read from its folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "run/loop.hpp"
#include "study/run_state.hpp"
#include "study/statistics.hpp"

namespace switchyard::study {

struct RunResult {
  std::int64_t seed = 0;
  std::string folder;  // below the study's
  RunStatus status = RunStatus::missing;
  std::vector<std::optional<double>> metrics;  // one per Options::metrics
  std::optional<double> select_by;
  bool has_validation = false;  // the summary has numbers of a validation split
};

// The selection runs of one combination of an arm.
struct Candidate {
  Values values;
  std::vector<RunResult> runs;
};

struct ArmResult {
  std::string name;
  std::string title;
  std::optional<std::size_t> selected;  // combination; nothing: not selected yet, or all of them failed
  Values values;                        // of `selected`
  std::vector<Candidate> candidates;    // none: the arm has one combination
  std::vector<RunResult> runs;
};

struct Results {
  std::string name;  // the study's folder without its path
  Options options;
  std::vector<ArmResult> arms;
};

// Reads one run's folder.
RunResult read_run(const Options& options, const std::string& folder, std::int64_t seed);
// The candidates of an arm; reads the folder.
std::vector<Candidate> read_candidates(const Spec& spec, std::size_t arm);
// `selected` has one entry per arm. Local; reads the whole folder.
Results read_results(const Spec& spec, const std::vector<std::optional<std::size_t>>& selected);

// The combination with the fewest failed runs, and among these with the smallest mean of select_by; the first
// of equals. Nothing if no run gave a number.
std::optional<std::size_t> best_candidate(const std::vector<Candidate>& candidates);

// Of the runs that finished.
MeanAndDeviation mean_of_select_by(const std::vector<RunResult>& runs);
MeanAndDeviation mean_of_metric(const std::vector<RunResult>& runs, std::size_t metric);
index_t count(const std::vector<RunResult>& runs, RunStatus status);
// The finished run with the smallest select_by, the first of equals; null where no run has that number.
const RunResult* best_run(const std::vector<RunResult>& runs);
// Why none of the runs that finished has select_by: "there is no validation split". Empty if one has it, or
// none finished.
std::string why_without_select_by(const Options& options, const std::vector<RunResult>& runs);
// The same of an arm's selection, where nothing was selected.
std::string why_not_selected(const Options& options, const ArmResult& arm);
// How a study ends whose runs are all done: well if a run of an arm's results finished.
run::Outcome outcome_of(const Results& results);
// Metric of `arm` minus metric of `baseline`, for every seed that has both.
Interval paired_difference(const ArmResult& arm, const ArmResult& baseline, std::size_t metric);

}  // namespace switchyard::study
