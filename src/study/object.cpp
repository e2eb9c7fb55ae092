#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "study/tables.hpp"

namespace switchyard::study {
namespace {

using Json = nlohmann::ordered_json;

// What is not a number is null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

Json values_object(const Values& values) {
  Json object = Json::object();
  for (const auto& [key, value] : values) object[key] = value;
  return object;
}

// "finished", "failed", "skipped" or "missing": of a reader's view, what is unfinished is missing.
std::string status_text(RunStatus status) {
  return std::string(name(is_done(status) ? status : RunStatus::missing));
}

Json run_object(const RunResult& run, const std::vector<std::string>& names) {
  Json metrics = Json::object();
  for (std::size_t m = 0; m < names.size(); ++m) {
    if (run.metrics[m]) metrics[names[m]] = number(run.metrics[m]);
  }
  return {
      {"seed", run.seed}, {"folder", run.folder}, {"status", status_text(run.status)}, {"metrics", metrics}};
}

Json summary_of(const ArmResult& arm, const std::vector<std::string>& names) {
  Json summary = Json::object();
  const RunResult* const best = best_run(arm.runs);
  for (std::size_t m = 0; m < names.size(); ++m) {
    const MeanAndDeviation found = mean_of_metric(arm.runs, m);
    summary[names[m]] = {{"n", found.n},
                         {"mean", number(found.mean)},
                         {"std", number(found.standard_deviation)},
                         {"best", best == nullptr ? Json(nullptr) : number(best->metrics[m])}};
  }
  return summary;
}

Json selection_of(const ArmResult& arm) {
  Json selection = Json::array();
  for (const Candidate& candidate : arm.candidates) {
    const MeanAndDeviation found = mean_of_select_by(candidate.runs);
    selection.push_back({{"values", values_object(candidate.values)},
                         {"n", found.n},
                         {"mean", number(found.mean)},
                         {"std", number(found.standard_deviation)},
                         {"failed", count(candidate.runs, RunStatus::failed)}});
  }
  return selection;
}

Json arm_object(const ArmResult& arm, const std::vector<std::string>& names) {
  Json runs = Json::array();
  for (const RunResult& run : arm.runs) runs.push_back(run_object(run, names));
  return {{"name", arm.name},
          {"title", arm.title},
          {"values", values_object(arm.values)},
          {"runs", runs},
          {"summary", summary_of(arm, names)},
          {"selection", selection_of(arm)}};
}

Json differences_of(const Results& results) {
  Json differences = Json::array();
  const auto baseline = std::ranges::find(results.arms, results.options.baseline, &ArmResult::name);
  if (baseline == results.arms.end()) return differences;
  for (const ArmResult& arm : results.arms) {
    if (arm.name == baseline->name) continue;
    for (std::size_t m = 0; m < results.options.metrics.size(); ++m) {
      const Interval found = paired_difference(arm, *baseline, m);
      differences.push_back({{"arm", arm.name},
                             {"baseline", baseline->name},
                             {"metric", results.options.metrics[m]},
                             {"n", found.n},
                             {"mean", number(found.mean)},
                             {"low", number(found.low)},
                             {"high", number(found.high)}});
    }
  }
  return differences;
}

}  // namespace

Json results_object(const Results& results, const std::vector<report::PublishedValue>& published) {
  const std::vector<std::string>& names = results.options.metrics;
  Json arms = Json::array();
  for (const ArmResult& arm : results.arms) arms.push_back(arm_object(arm, names));
  Json others = Json::array();
  for (const report::PublishedValue& value : published) {
    others.push_back({{"arm", value.arm},
                      {"metric", value.metric},
                      {"step", number(value.step)},
                      {"value", value.value},
                      {"std", number(value.standard_deviation)}});
  }
  return {{"name", results.name},
          {"metrics", names},
          {"baseline", results.options.baseline},
          {"select_by", results.options.select_by},
          {"arms", arms},
          {"differences", differences_of(results)},
          {"published", others}};
}

}  // namespace switchyard::study
