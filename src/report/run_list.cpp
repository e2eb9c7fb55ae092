#include "report/run_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.hpp"
#include "files/folder_lock.hpp"
#include "files/regular_file.hpp"
#include "report/metrics_scan.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_study(const fs::path& folder) {
  if (files::is_there(folder / "study.json")) return true;
  // One that has only begun has no table yet.
  return files::is_there(folder / "lock") && !is_run(folder) &&
         (is_folder(folder / "runs") || is_folder(folder / "selection"));
}

void take_time(const fs::path& file, Listed& row) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  if (error) return;
  const auto changed =
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(std::chrono::file_clock::to_sys(time));
  row.changed = std::max(row.changed, changed);
}

// What training.steps() of the run says, from its records: how many samples there are stands in no file.
double planned_steps(const RunData& run, const MetricsScan& scan) {
  const double most = run.number_setting("train.max_steps");
  const double all = run.number_setting("train.epochs") * scan.steps_per_epoch;
  if (!(most > 0)) return all;
  return std::isfinite(all) ? std::min(all, most) : most;
}

// By what the run's best checkpoint is chosen; else what comes first of an evaluation, or of a model of text
// the loss.
std::string score_of(const RunData& run, const Json& evaluation) {
  const Json& best = member(run.summary, "best");
  if (best.is_object()) {
    for (const auto& [name, value] : best.items()) {
      if (value.is_number() && name != "step" && name != "epoch") return name;
    }
  }
  if (!member(evaluation, "perplexity").is_null()) return "loss";
  if (!evaluation.is_object()) return "";
  for (const auto& [name, value] : evaluation.items()) {
    if (value.is_number() && name != "step" && name != "epoch") return name;
  }
  return "";
}

void take_scores(const RunData& run, const MetricsScan& scan, Listed& row) {
  const auto of_split = [&](std::string_view split) -> const Json& {
    const Json& stated = member(run.summary, split);
    const auto recorded = scan.newest.find(split);
    return stated.is_object() || recorded == scan.newest.end() ? stated : recorded->second;
  };
  const Json& validation = of_split("validation");
  const Json& test = of_split("test");
  row.score = score_of(run, validation.is_object() ? validation : test);
  row.validation = number_of(validation, row.score);
  row.test = number_of(test, row.score);
}

void take_state(const fs::path& folder, const RunData& run, const MetricsScan& scan, Listed& row) {
  const Json& exit = member(run.summary, "exit");
  const double steps = number_of(run.summary, "steps");
  const bool went_on = scan.last_step > steps;  // after that summary
  if (files::is_locked(folder)) {
    row.state = ListedState::running;
  } else if (exit.is_object() && !went_on) {
    row.exit_code = number_of(exit, "code");
    row.reason = string_of(exit, "reason");
    row.state = row.exit_code == 0 ? ListedState::finished : ListedState::stopped;
  }
  row.done = std::isfinite(steps) ? std::max(scan.last_step, steps) : scan.last_step;
  row.planned = row.state == ListedState::finished ? row.done : planned_steps(run, scan);
}

Listed listed_run(const fs::path& folder) {
  Listed row;
  for (const char* file : {"config.ini", "metrics.jsonl", "summary.json", "failed.json"})
    take_time(folder / file, row);
  try {
    const RunData run = read_run(folder, Reading::without_metrics);
    const MetricsScan scan = scan_metrics(folder / "metrics.jsonl");
    take_state(folder, run, scan, row);
    take_scores(run, scan, row);
    row.parameters = number_of(run.summary, "parameters");
    row.seconds = training_seconds(run, row.done, scan.records, scan.seconds);
    if (files::is_there(folder / "failed.json") && row.state != ListedState::finished) {
      row.state = ListedState::stopped;
      row.reason = string_of(read_object(folder / "failed.json", "`switchyard study`"), "message");
    }
  } catch (const DataError& error) {
    row.state = ListedState::damaged;
    row.reason = error.what();
  }
  return row;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->path().filename().string().starts_with('.') && is_folder(entry->path()))
      found.push_back(entry->path());
  }
  std::ranges::sort(found);
  return found;
}

constexpr int most_levels = 8;  // a run of a study's selection is six below the folder of studies

// Folders of runs and, unless `into_studies`, of studies, below `folder`.
void find_all(const fs::path& folder, bool into_studies, int level, std::vector<fs::path>& found) {
  for (const fs::path& inner : folders_in(folder)) {
    if (is_run(inner) || (!into_studies && is_study(inner))) {
      found.push_back(inner);
    } else if (level < most_levels && !fs::is_symlink(fs::symlink_status(inner))) {
      find_all(inner, into_studies, level + 1, found);
    }
  }
}

double runs_of_table(const fs::path& folder) {
  double runs = Listed::unknown;
  if (!files::is_there(folder / "study.json")) return runs;
  runs = 0;
  const Json study = read_object(folder / "study.json", "`switchyard study`");
  const Json& arms = member(study, "arms");
  if (!arms.is_array()) return Listed::unknown;
  for (const Json& arm : arms) runs += static_cast<double>(member(arm, "runs").size());
  return runs;
}

Listed listed_study(const fs::path& folder) {
  Listed row;
  row.is_study = true;
  take_time(folder / "study.json", row);
  take_time(folder / "lock", row);
  std::vector<fs::path> runs;
  find_all(folder / "runs", /*into_studies=*/true, 0, runs);
  double failed = 0;
  row.seconds = 0;
  for (const fs::path& path : runs) {
    const Listed run = listed_run(path);
    row.changed = std::max(row.changed, run.changed);
    if (std::isfinite(run.seconds)) row.seconds += run.seconds;
    if (run.state == ListedState::finished) ++row.done;
    if (run.state == ListedState::stopped && files::is_there(path / "failed.json")) ++failed;
  }
  try {
    row.planned = runs_of_table(folder);
  } catch (const DataError& error) {
    row.state = ListedState::damaged;
    row.reason = error.what();
    return row;
  }
  if (failed > 0) row.reason = fmt::format("{:.0f} of its runs failed", failed);
  if (files::is_locked(folder)) {
    row.state = ListedState::running;
  } else if (row.done + failed >= row.planned) {
    row.state = ListedState::finished;
  }
  return row;
}

}  // namespace

std::string_view name(ListedState state) {
  constexpr std::string_view names[] = {"running", "finished", "stopped", "unfinished", "damaged"};
  return names[as_size(state)];
}

std::vector<Listed> list_runs(const fs::path& folder) {
  std::error_code error;
  const fs::directory_iterator readable(folder, error);
  if (error) {
    throw DataError(
        fmt::format("cannot list '{}' ({}); give a folder that holds runs, such as the one above run.dir",
                    folder.string(), error.message()));
  }
  std::vector<fs::path> found;
  if (is_run(folder)) {
    found.push_back(folder);
  } else {
    find_all(folder, is_study(folder), 0, found);
  }
  std::vector<Listed> rows;
  for (const fs::path& path : found) {
    rows.push_back(is_run(path) ? listed_run(path) : listed_study(path));
    rows.back().folder = path == folder ? path.string() : path.lexically_relative(folder).generic_string();
  }
  std::ranges::stable_sort(rows, std::greater(), &Listed::changed);
  return rows;
}

}  // namespace switchyard::report
