#include "report/study_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace switchyard::report {
namespace {

// The elements of an array that are objects.
std::vector<Json> objects_of(const Json& object, std::string_view name) {
  const Json& array = member(object, name);
  std::vector<Json> objects;
  if (!array.is_array()) return objects;
  std::ranges::copy_if(array, std::back_inserter(objects), [](const Json& value) { return value.is_object(); });
  return objects;
}

std::optional<double> optional_number(const Json& object, std::string_view name) {
  const double value = number_of(object, name);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string values_text(const Json& values) {
  std::string out;
  if (!values.is_object()) return out;
  for (const auto& [key, value] : values.items()) {
    out += fmt::format("{}{} = {}", out.empty() ? "" : ", ", key,
                       value.is_string() ? value.get<std::string>() : value.dump());
  }
  return out;
}

StudySummary summary_of(const Json& object) {
  return {number_of(object, "n"), number_of(object, "mean"), number_of(object, "std"),
          number_of(object, "best")};
}

StudyRun run_of(const Json& object) {
  StudyRun run{number_of(object, "seed"), string_of(object, "folder"), string_of(object, "status"), {}};
  if (const Json& metrics = member(object, "metrics"); metrics.is_object()) {
    for (const auto& [name, value] : metrics.items()) {
      if (value.is_number()) run.metrics[name] = value.get<double>();
    }
  }
  return run;
}

StudyArm arm_of(const Json& object) {
  StudyArm arm;
  arm.name = string_of(object, "name");
  arm.title = string_of(object, "title");
  if (arm.title.empty()) arm.title = arm.name;
  arm.values = values_text(member(object, "values"));
  for (const Json& run : objects_of(object, "runs")) arm.runs.push_back(run_of(run));
  if (const Json& summary = member(object, "summary"); summary.is_object()) {
    for (const auto& [metric, value] : summary.items()) arm.summary[metric] = summary_of(value);
  }
  for (const Json& candidate : objects_of(object, "selection")) {
    arm.selection.push_back(
        {values_text(member(candidate, "values")), summary_of(candidate), number_of(candidate, "failed")});
  }
  return arm;
}

}  // namespace

std::string StudyData::title_of(const std::string& arm) const {
  const auto found = std::ranges::find(arms, arm, &StudyArm::name);
  return found == arms.end() ? arm : found->title;
}

StudyData read_study(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "study.json";
  const Json object = read_object(file, "`switchyard study`");
  StudyData study;
  study.name = string_of(object, "name");
  study.baseline = string_of(object, "baseline");
  study.select_by = string_of(object, "select_by");
  if (const Json& metrics = member(object, "metrics"); metrics.is_array()) {
    for (const Json& metric : metrics) {
      if (metric.is_string()) study.metrics.push_back(metric.get<std::string>());
    }
  }
  for (const Json& arm : objects_of(object, "arms")) study.arms.push_back(arm_of(arm));
  for (const Json& d : objects_of(object, "differences")) {
    study.differences.push_back({string_of(d, "arm"), string_of(d, "baseline"), string_of(d, "metric"),
                                 number_of(d, "n"), number_of(d, "mean"), number_of(d, "low"),
                                 number_of(d, "high")});
  }
  for (const Json& p : objects_of(object, "published")) {
    const auto value = optional_number(p, "value");
    if (!value) continue;
    study.published.push_back({string_of(p, "arm"), string_of(p, "metric"), optional_number(p, "step"), *value,
                               optional_number(p, "std")});
  }
  if (study.arms.empty()) {
    throw DataError(
        fmt::format("'{}' lists no arms (it was changed, or is of another program); write it again with "
                    "`switchyard study`",
                    file.string()));
  }
  return study;
}

}  // namespace switchyard::report
