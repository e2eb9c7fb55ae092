#include "report/run_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/phase_clock.hpp"
#include "config/ini.hpp"
#include "files/regular_file.hpp"

namespace switchyard::report {
namespace {

constexpr std::string_view tables[] = {"class_by_expert", "class_by_expert_predicted"};

void add_step(StepSeries& steps, const Json& record) {
  const double step = number_of(record, "step");
  for (const auto& [name, value] : record.items()) {
    if (!value.is_number()) continue;
    const double number = value.get<double>();
    steps.scalars[name].add(step, {&number, 1});
  }
  const std::vector<double> load = numbers_of(record, "load");
  if (!load.empty()) steps.load.add(step, load);
  const Json& time = member(record, "time");
  if (time.is_object()) {
    steps.phase_totals.resize(phase_count);
    std::vector<double> seconds;
    for (std::size_t phase = 0; phase < phase_count; ++phase) {
      const double value = number_of(time, name(static_cast<Phase>(phase)));
      seconds.push_back(std::isfinite(value) ? value : 0);
      steps.phase_totals[phase] += seconds.back();
    }
    steps.phases.add(step, seconds);
  }
  ++steps.records;
  if (!std::isfinite(number_of(record, "loss"))) ++steps.without_loss;
  if (const double samples = number_of(record, "samples"); std::isfinite(samples)) steps.samples += samples;
  steps.last_step = step;
  if (const double epoch = number_of(record, "epoch"); std::isfinite(epoch)) steps.last_epoch = epoch;
}

void add_evaluation(std::vector<Json>& evaluations, Json record) {
  const std::string split = string_of(record, "split");
  for (auto earlier = evaluations.rbegin(); earlier != evaluations.rend(); ++earlier) {
    if (string_of(*earlier, "split") != split) continue;
    for (const std::string_view table : tables) earlier->erase(std::string(table));
    break;
  }
  evaluations.push_back(std::move(record));
}

// A record is an object with a kind and a step.
bool is_record(const Json& object) {
  return member(object, "kind").is_string() && std::isfinite(number_of(object, "step"));
}

void read_metrics(const std::filesystem::path& path, RunData& run) {
  if (const std::string reason = files::why_unreadable(path); !reason.empty())
    throw DataError(fmt::format("cannot read '{}' ({}); check the run folder", path.string(), reason));
  std::ifstream lines(path, std::ios::binary);
  std::string line;
  for (index_t number = 1; next_line(lines, line); ++number) {
    if (line.empty()) continue;
    Json record = parse_shallow(line);
    if (!is_record(record)) {
      // A run that was killed while it wrote leaves this, and the next `resume` takes it out.
      if (lines.peek() == std::ifstream::traits_type::eof()) {
        run.torn_line = true;
        return;
      }
      throw DataError(fmt::format(
          "line {} of '{}' is no record of a run (it was cut off or changed, and is not the last line); go on "
          "with the run by `switchyard resume`, which takes such lines out, or take the line out yourself",
          number, path.string()));
    }
    const std::string kind = string_of(record, "kind");
    if (kind == "step") add_step(run.steps, record);
    if (kind == "evaluation") add_evaluation(run.evaluations, std::move(record));
  }
  if (lines.bad()) (void)files::read_regular_file(path);
}

// Only to show values: the page must also open for a configuration of another version, or one that is damaged.
std::map<std::string, std::string, std::less<>> settings_of(std::string_view ini) {
  std::map<std::string, std::string, std::less<>> settings;
  try {
    config::for_each_setting(ini, "config.ini", [&](const config::Setting& setting) {
      if (!setting.key.empty()) settings[setting.name()] = setting.value;
    });
  } catch (const ConfigError&) {  // what was read so far is shown
  }
  return settings;
}

}  // namespace

std::vector<Point> StepSeries::points(std::string_view name) const {
  std::vector<Point> points;
  const auto found = scalars.find(name);
  if (found == scalars.end()) return points;
  for (const BinnedRows::Row& row : found->second.means()) points.push_back({row.x, row.values[0]});
  return points;
}

index_t RunData::experts() const {
  const auto share = numbers_of(find_evaluation(*this, "expert_share").object, "expert_share");
  if (!share.empty()) return std::ssize(share);
  const auto load = steps.load.means();
  return load.empty() ? 0 : static_cast<index_t>(load.front().values.size());
}

Found find_evaluation(const RunData& run, std::string_view name) {
  for (const std::string_view split : {"test", "validation"}) {
    const Json& object = member(run.summary, split);
    if (!member(object, name).is_null()) return {object, std::string(split)};
  }
  for (auto record = run.evaluations.rbegin(); record != run.evaluations.rend(); ++record) {
    if (member(*record, name).is_null()) continue;
    return {*record, fmt::format("{}, step {:.0f}", string_of(*record, "split"), number_of(*record, "step"))};
  }
  return {};
}

bool is_run(const std::filesystem::path& folder) {
  return files::is_there(folder / "config.ini") || files::is_there(folder / "metrics.jsonl");
}

RunData read_run(const std::filesystem::path& folder) {
  RunData run;
  run.folder = folder;
  if (files::is_there(folder / "config.ini")) {
    run.config_text = files::read_regular_file(folder / "config.ini");
    run.settings = settings_of(run.config_text);
  }
  run.has_metrics = files::is_there(folder / "metrics.jsonl");
  if (run.has_metrics) read_metrics(folder / "metrics.jsonl", run);
  if (files::is_there(folder / "summary.json")) {
    run.summary = read_object(folder / "summary.json", "`switchyard resume`");
  }
  return run;
}

}  // namespace switchyard::report
