#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

// Where there is no summary yet, advice may name one.
bool takes_regularisers(const RunData& run) {
  const Json& told = member(run.summary, "takes_regularisers");
  return !told.is_boolean() || told.get<bool>();
}

// Of the run itself, or of one of its layers.
std::string dead_expert_warning(const RunData& run, const Records& records) {
  const Found found = find_evaluation(records, "dead_experts");
  const std::vector<double> dead = numbers_of(found.object, "dead_experts");
  if (dead.empty()) return "";
  return fmt::format(
      "Dead experts{}: {} of {} ({}). They serve less than 1 {} in 1000 ({}); try {}fewer experts "
      "(moe.experts) or another seed (run.seed).",
      records.of_layer() ? " of " + records.name : "", dead.size(), records.experts(), fmt::join(dead, ", "),
      records.row_kind(), found.of,
      takes_regularisers(run) ? "a larger importance regulariser (moe.importance), " : "");
}

}  // namespace

std::vector<std::string> run_warnings(const RunData& run) {
  std::vector<std::string> warnings;
  const double steps = number_of(run.summary, "steps");
  const double code = number_of(member(run.summary, "exit"), "code");
  if (run.summary.is_null()) {
    warnings.push_back(
        "The run has not finished: there is no summary.json. The page shows what was recorded so far.");
  } else if (run.steps.last_step > steps) {
    warnings.push_back(
        fmt::format("The run went on after summary.json was written: the summary is of step {:.0f}, the last "
                    "record of step {:.0f}.",
                    steps, run.steps.last_step));
  }
  if (code != 0 && std::isfinite(code)) {
    warnings.push_back(fmt::format("The run ended with exit code {:.0f}: {}.", code,
                                   string_of(member(run.summary, "exit"), "reason")));
  }
  if (!run.has_metrics) warnings.push_back("There is no metrics.jsonl: curves are missing.");
  const double expected = std::floor(run.steps.last_step / run.record_distance());
  if (const double missing = expected - static_cast<double>(run.steps.records); missing > 0) {
    warnings.push_back(fmt::format(
        "metrics.jsonl lacks {:.0f} of the {:.0f} records of steps: curves have a gap there (the file was "
        "cut, lost its end in a power cut, or metrics.every_steps was larger).",
        missing, expected));
  }
  if (run.torn_line) {
    warnings.push_back(
        "metrics.jsonl ends in the middle of a record, which is left out (the run was stopped while it wrote, "
        "or is writing now).");
  }
  if (run.steps.without_loss > 0) {
    warnings.push_back(
        fmt::format("{} step records hold no finite loss: the training diverged, or the file was changed.",
                    run.steps.without_loss));
  }
  if (std::string dead = dead_expert_warning(run, run); !dead.empty()) warnings.push_back(std::move(dead));
  for (const Records& layer : run.layers) {
    if (std::string dead = dead_expert_warning(run, layer); !dead.empty()) warnings.push_back(std::move(dead));
  }
  return warnings;
}

}  // namespace switchyard::report
