#include "study/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace switchyard::study {
namespace {

std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

struct Rows {
  std::string_view stage;
  const ArmResult& arm;
  const Values& values;
};

std::string rows(const Rows& of, const std::vector<RunResult>& runs) {
  std::string text;
  for (const RunResult& run : runs) {
    text += fmt::format("{},{},{},{},{}", of.stage, cell(of.arm.name), run.seed, cell(text_of(of.values)),
                        name(run.status));
    // The fewest digits that give the same double when read.
    for (const auto& value : run.metrics) text += value ? fmt::format(",{}", *value) : ",";
    text += '\n';
  }
  return text;
}

// Rows of cells as a Markdown table; the first is the head.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (const std::string& cell : rows[r]) text += fmt::format("| {} ", cell.empty() ? "-" : cell);
    text += "|\n";
    if (r > 0) continue;
    for (std::size_t c = 0; c < rows[r].size(); ++c) text += "|---";
    text += "|\n";
  }
  return text;
}

// "0.1134 ± 0.0021": more digits than a sample of ten runs supports would only be noise.
std::string with_deviation(double value, double deviation) {
  if (std::isnan(value)) return "";
  return std::isnan(deviation) ? fmt::format("{:.4g}", value)
                               : fmt::format("{:.4g} ± {:.2g}", value, deviation);
}

std::string selected_text(const ArmResult& arm) {
  if (arm.candidates.empty()) return "";
  return arm.selected ? text_of(arm.values) : "none";
}

std::string selection_runs_text(const ArmResult& arm) {
  std::size_t runs = 0;
  for (const Candidate& candidate : arm.candidates) runs += candidate.runs.size();
  return fmt::format("{}", runs);
}

std::string arms_table(const Results& results) {
  std::vector<std::string> head = {"arm", "n"};
  for (const std::string& metric : results.options.metrics) head.push_back(metric);
  head.insert(head.end(), {"failed", "skipped", "selected", "selection runs"});
  std::vector<std::vector<std::string>> rows = {head};
  for (const ArmResult& arm : results.arms) {
    std::vector<std::string> row = {arm.title, fmt::format("{}", count(arm.runs, RunStatus::finished))};
    for (std::size_t m = 0; m < results.options.metrics.size(); ++m) {
      const MeanAndDeviation found = mean_of_metric(arm.runs, m);
      row.push_back(with_deviation(found.mean, found.standard_deviation));
    }
    for (const RunStatus status : {RunStatus::failed, RunStatus::skipped})
      row.push_back(fmt::format("{}", count(arm.runs, status)));
    row.push_back(selected_text(arm));
    row.push_back(selection_runs_text(arm));
    rows.push_back(std::move(row));
  }
  return table(rows);
}

std::string best_table(const Results& results, const std::vector<report::PublishedValue>& published) {
  std::vector<std::string> head = {"arm", "seed"};
  for (const std::string& metric : results.options.metrics) {
    head.push_back(metric);
    if (!published.empty()) head.push_back("published");
  }
  std::vector<std::vector<std::string>> rows = {head};
  for (const ArmResult& arm : results.arms) {
    const RunResult* best = best_run(arm.runs);
    std::vector<std::string> row = {arm.title, best == nullptr ? "" : fmt::format("{}", best->seed)};
    for (std::size_t m = 0; m < results.options.metrics.size(); ++m) {
      const bool known = best != nullptr && best->metrics[m].has_value();
      row.push_back(known ? fmt::format("{:.4g}", *best->metrics[m]) : "");
      if (published.empty()) continue;
      const report::PublishedValue* value =
          report::find_published(published, arm.name, results.options.metrics[m]);
      row.push_back(value == nullptr
                        ? ""
                        : with_deviation(value->value, value->standard_deviation.value_or(std::nan(""))));
    }
    rows.push_back(std::move(row));
  }
  return table(rows);
}

// A line for each arm of which select_by says nothing, with the reason.
std::string arms_without_best(const Results& results) {
  std::string text;
  for (const ArmResult& arm : results.arms) {
    const std::string why = why_without_select_by(results.options, arm.runs);
    if (!why.empty())
      text += fmt::format("\n{}: no run has that number ({}), so none is the best.\n", arm.title, why);
  }
  return text;
}

std::string arms_not_selected(const Results& results) {
  std::string text;
  for (const ArmResult& arm : results.arms) {
    const std::string why = why_not_selected(results.options, arm);
    if (!why.empty())
      text += fmt::format("\n{}: nothing was selected, since no run has {} ({}).\n", arm.title,
                          results.options.select_by, why);
  }
  return text;
}

std::string differences_table(const Results& results, const ArmResult& baseline) {
  std::vector<std::vector<std::string>> rows = {{"arm", "metric", "n", "mean", "95% interval"}};
  for (const ArmResult& arm : results.arms) {
    if (arm.name == baseline.name) continue;
    for (std::size_t m = 0; m < results.options.metrics.size(); ++m) {
      const Interval found = paired_difference(arm, baseline, m);
      rows.push_back({arm.title, results.options.metrics[m], fmt::format("{}", found.n),
                      found.n == 0 ? "" : fmt::format("{:+.3g}", found.mean),
                      found.n < 2 ? "" : fmt::format("{:+.3g} to {:+.3g}", found.low, found.high)});
    }
  }
  return table(rows);
}

}  // namespace

std::string results_csv(const Results& results) {
  std::string text = "stage,arm,seed,values,status";
  for (const std::string& metric : results.options.metrics) text += ',' + cell(metric);
  text += '\n';
  for (const ArmResult& arm : results.arms) {
    for (const Candidate& candidate : arm.candidates)
      text += rows({"selection", arm, candidate.values}, candidate.runs);
    text += rows({"result", arm, arm.values}, arm.runs);
  }
  return text;
}

std::string results_markdown(const Results& results, const std::vector<report::PublishedValue>& published) {
  std::string text =
      fmt::format("# {}\n\nMean ± sample standard deviation of the n runs that finished.\n\n{}{}", results.name,
                  arms_table(results), arms_not_selected(results));
  text += fmt::format("\n## The best run of each arm\n\nThe one with the smallest {}.\n\n{}{}",
                      results.options.select_by, best_table(results, published), arms_without_best(results));
  const auto baseline = std::ranges::find(results.arms, results.options.baseline, &ArmResult::name);
  if (baseline == results.arms.end() || results.arms.size() < 2) return text;
  text += fmt::format(
      "\n## Differences to {}\n\nBy seed, with Student's t over the n seeds that both arms finished.\n\n{}",
      baseline->title, differences_table(results, *baseline));
  return text;
}

}  // namespace switchyard::study
