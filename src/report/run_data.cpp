#include "report/run_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/phase_clock.hpp"
#include "config/ini.hpp"
#include "files/regular_file.hpp"

namespace switchyard::report {
namespace {

constexpr std::string_view tables[] = {
    "class_by_expert", "class_by_expert_predicted", "classes", "cluster_by_expert",
    "clusters",        "domain_by_expert",          "domains"};
constexpr std::size_t most_layers = 128;  // no model of ours has more; further ones are passed over

// `use`s each of the layers that `object` tells of, and what is recorded of it.
void for_each_layer(RunData& run, const Json& object, const auto& use) {
  const Json& layers = member(object, "layers");
  if (!layers.is_array()) return;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::string name = string_of(layers[i], "name");
    if (name.empty()) name = fmt::format("layer {}", i);
    auto of = std::ranges::find(run.layers, name, &Records::name);
    if (of == run.layers.end()) {
      if (run.layers.size() == most_layers) continue;
      of = run.layers.emplace(of);
      of->name = std::move(name);
    }
    use(layers[i], *of);
  }
}

// `samples`: of the batch. Parts of a sample may choose for themselves: an expert has more of those.
void add_series(StepSeries& steps, double step, double samples, const Json& record) {
  if (!record.is_object()) return;
  for (const auto& [name, value] : record.items()) {
    if (!value.is_number()) continue;
    const double number = value.get<double>();
    steps.scalars[name].add(step, {&number, 1});
  }
  const std::vector<double> load = numbers_of(record, "load");
  if (!load.empty()) {
    steps.load.add(step, load);
    ++steps.with_load;
    const bool all_alike = std::ranges::all_of(load, [&](double of) { return of == load.front(); });
    if (load.size() > 1 && all_alike && load.front() >= samples) ++steps.full_loads;
  }
  const std::vector<double> importance = numbers_of(record, "importance");
  if (!importance.empty()) steps.importance.add(step, importance);
}

void add_step(RunData& run, const Json& record) {
  StepSeries& steps = run.steps;
  const double step = number_of(record, "step");
  const double samples = number_of(record, "samples");
  add_series(steps, step, samples, record);
  for_each_layer(run, record,
                 [&](const Json& layer, Records& of) { add_series(of.steps, step, samples, layer); });
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
  if (std::isfinite(samples)) steps.samples += samples;
  steps.last_step = step;
  if (const double epoch = number_of(record, "epoch"); std::isfinite(epoch)) steps.last_epoch = epoch;
}

void add_evaluation(Records& records, Json record) {
  std::vector<Json>& evaluations = records.evaluations;
  const std::string split = string_of(record, "split");
  for (auto earlier = evaluations.rbegin(); earlier != evaluations.rend(); ++earlier) {
    if (string_of(*earlier, "split") != split) continue;
    for (const std::string_view table : tables) earlier->erase(std::string(table));
    break;
  }
  evaluations.push_back(std::move(record));
}

// What `evaluation` says of one of its layers, as if that were all of the model.
Json layer_of(const Json& evaluation, const Json& layer) {
  Json object = layer.is_object() ? layer : Json::object();
  for (const char* shared : {"split", "step", "epoch", "domains"}) object[shared] = member(evaluation, shared);
  return object;
}

void add_evaluation(RunData& run, Json record) {
  for_each_layer(run, record,
                 [&](const Json& layer, Records& of) { add_evaluation(of, layer_of(record, layer)); });
  record.erase("layers");
  add_evaluation(static_cast<Records&>(run), std::move(record));
}

void take_summary(RunData& run, Json summary) {
  for (const char* split : {"train", "validation", "test"}) {
    const Json& evaluation = member(summary, split);
    for_each_layer(run, evaluation,
                   [&](const Json& layer, Records& of) { of.summary[split] = layer_of(evaluation, layer); });
  }
  run.summary = std::move(summary);
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
    if (kind == "step") add_step(run, record);
    if (kind == "evaluation") add_evaluation(run, std::move(record));
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

index_t Records::experts() const {
  const auto share = numbers_of(find_evaluation(*this, "expert_share").object, "expert_share");
  if (!share.empty()) return std::ssize(share);
  const auto load = steps.load.means();
  return load.empty() ? 0 : static_cast<index_t>(load.front().values.size());
}

std::string_view RunData::setting(std::string_view key) const {
  const auto found = settings.find(key);
  return found == settings.end() ? std::string_view() : found->second;
}

double RunData::number_setting(std::string_view key) const {
  const std::string text(setting(key));
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return *end == '\0' && end != text.c_str() ? value : std::numeric_limits<double>::quiet_NaN();
}

bool RunData::of_text() const {
  const std::string_view family = setting("model.family");
  return !layers.empty() || (!family.empty() && family != "mixture");
}

bool RunData::has_squared_error() const { return setting("model.loss") == "squared_error"; }

std::string RunData::loss_unit() const {
  if (!has_squared_error()) return "nats";
  return setting("data.scale_targets") == "yes" ? "squared error of scaled labels" : "squared error";
}

double RunData::record_distance() const {
  const double every = number_setting("metrics.every_steps");
  return every >= 1 ? every : 1;
}

double training_seconds(const RunData& run, double steps, double recorded, double seconds) {
  if (recorded == 0) return number_of(member(run.summary, "train"), "seconds");
  return steps > recorded ? seconds * steps / recorded : seconds;
}

Found find_evaluation(const Records& records, std::string_view name) {
  for (const std::string_view split : {"test", "validation"}) {
    const Json& object = member(records.summary, split);
    if (!member(object, name).is_null()) return {object, std::string(split)};
  }
  for (auto record = records.evaluations.rbegin(); record != records.evaluations.rend(); ++record) {
    if (member(*record, name).is_null()) continue;
    return {*record, fmt::format("{}, step {:.0f}", string_of(*record, "split"), number_of(*record, "step"))};
  }
  return {};
}

bool is_run(const std::filesystem::path& folder) {
  return files::is_there(folder / "config.ini") || files::is_there(folder / "metrics.jsonl");
}

RunData read_run(const std::filesystem::path& folder, Reading reading) {
  RunData run;
  run.folder = folder;
  if (files::is_there(folder / "config.ini")) {
    run.config_text = files::read_regular_file(folder / "config.ini");
    run.settings = settings_of(run.config_text);
  }
  run.has_metrics = files::is_there(folder / "metrics.jsonl");
  if (run.has_metrics && reading == Reading::all) read_metrics(folder / "metrics.jsonl", run);
  if (files::is_there(folder / "summary.json")) {
    take_summary(run, read_object(folder / "summary.json", "`switchyard resume`"));
  }
  return run;
}

}  // namespace switchyard::report
