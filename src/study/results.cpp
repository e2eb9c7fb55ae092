#include "study/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "run/summary.hpp"
#include "study/check.hpp"
#include "study/metric_path.hpp"

namespace switchyard::study {
namespace {

using Value = std::optional<double>;

// The values that are there, in order.
template <class Get>
std::vector<double> values(const std::vector<RunResult>& runs, const Get& get) {
  std::vector<double> found;
  for (const RunResult& run : runs) {
    if (const Value value = get(run)) found.push_back(*value);
  }
  return found;
}

}  // namespace

RunResult read_run(const Options& options, const std::string& folder, std::int64_t seed) {
  const std::filesystem::path path = std::filesystem::path(options.dir) / folder;
  RunResult run{.seed = seed,
                .folder = folder,
                .status = run_status(path),
                .metrics = std::vector<Value>(options.metrics.size()),
                .select_by = {},
                .has_validation = false};
  if (run.status != RunStatus::finished) return run;
  const auto summary = run::finished_summary(path / "summary.json");
  if (!summary) return run;
  for (std::size_t m = 0; m < options.metrics.size(); ++m)
    run.metrics[m] = metric(*summary, options.metrics[m]);
  run.select_by = metric(*summary, options.select_by);
  const auto validation = summary->find("validation");
  run.has_validation = validation != summary->end() && !validation->is_null();
  return run;
}

std::vector<Candidate> read_candidates(const Spec& spec, std::size_t arm) {
  std::vector<Candidate> candidates;
  for (const Job& job : selection_jobs(spec, arm)) {
    if (job.combination == candidates.size()) candidates.push_back({job.values, {}});
    candidates.back().runs.push_back(read_run(spec.options, job.folder, job.seed));
  }
  return candidates;
}

Results read_results(const Spec& spec, const std::vector<std::optional<std::size_t>>& selected) {
  const std::filesystem::path folder = spec.options.dir;
  Results results{.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string(),
                  .options = spec.options,
                  .arms = {}};
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    const Arm& arm = spec.arms[a];
    ArmResult result{.name = arm.name,
                     .title = arm.title,
                     .selected = selected[a],
                     .values = selected[a] ? combinations(arm)[*selected[a]] : Values{},
                     .candidates = read_candidates(spec, a),
                     .runs = {}};
    for (std::int64_t i = 0; i < spec.options.seeds; ++i) {
      const std::int64_t seed = spec.options.first_seed + i;
      result.runs.push_back(read_run(spec.options, result_folder(arm, seed), seed));
    }
    results.arms.push_back(std::move(result));
  }
  return results;
}

std::optional<std::size_t> best_candidate(const std::vector<Candidate>& candidates) {
  const auto merit = [](const Candidate& candidate) {
    return std::pair(count(candidate.runs, RunStatus::failed), mean_of_select_by(candidate.runs).mean);
  };
  std::optional<std::size_t> best;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    if (mean_of_select_by(candidates[c].runs).n == 0) continue;
    if (!best || merit(candidates[c]) < merit(candidates[*best])) best = c;
  }
  return best;
}

MeanAndDeviation mean_of_select_by(const std::vector<RunResult>& runs) {
  return mean_and_deviation(values(runs, [](const RunResult& run) { return run.select_by; }));
}

MeanAndDeviation mean_of_metric(const std::vector<RunResult>& runs, std::size_t metric) {
  return mean_and_deviation(values(runs, [&](const RunResult& run) { return run.metrics[metric]; }));
}

index_t count(const std::vector<RunResult>& runs, RunStatus status) {
  return std::ranges::count(runs, status, &RunResult::status);
}

const RunResult* best_run(const std::vector<RunResult>& runs) {
  const RunResult* best = nullptr;
  for (const RunResult& run : runs) {
    if (run.select_by && (best == nullptr || *run.select_by < *best->select_by)) best = &run;
  }
  return best;
}

std::string why_without_select_by(const Options& options, const std::vector<RunResult>& runs) {
  const auto finished = std::ranges::find(runs, RunStatus::finished, &RunResult::status);
  if (finished == runs.end() || best_run(runs) != nullptr) return {};
  return is_of_validation(options.select_by) && !finished->has_validation
             ? "there is no validation split"
             : "their summary.json holds no such number";
}

std::string why_not_selected(const Options& options, const ArmResult& arm) {
  if (arm.selected) return {};
  std::vector<RunResult> runs;
  for (const Candidate& candidate : arm.candidates)
    runs.insert(runs.end(), candidate.runs.begin(), candidate.runs.end());
  return why_without_select_by(options, runs);
}

run::Outcome outcome_of(const Results& results) {
  const auto has_result = [](const ArmResult& arm) { return count(arm.runs, RunStatus::finished) > 0; };
  if (std::ranges::any_of(results.arms, has_result)) return {ExitCode::ok, "finished the study"};
  for (const ArmResult& arm : results.arms) {
    const std::string why = why_not_selected(results.options, arm);
    if (why.empty()) continue;
    return {ExitCode::config,
            fmt::format("no run that selects values of the arm {} has study.select_by = {} ({}); name a number "
                        "that they have, such as train.loss",
                        arm.name, results.options.select_by, why)};
  }
  return {
      ExitCode::numeric,
      "every run of the study failed or was skipped (failed.json and skipped.json in their folders say why)"};
}

Interval paired_difference(const ArmResult& arm, const ArmResult& baseline, std::size_t metric) {
  std::vector<double> differences;
  for (const RunResult& run : arm.runs) {
    const auto other = std::ranges::find(baseline.runs, run.seed, &RunResult::seed);
    if (other == baseline.runs.end() || !run.metrics[metric] || !other->metrics[metric]) continue;
    differences.push_back(*run.metrics[metric] - *other->metrics[metric]);
  }
  return interval_of_mean(differences);
}

}  // namespace switchyard::study
