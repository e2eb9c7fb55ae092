#include "study/check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "moe/placement.hpp"
#include "study/jobs.hpp"
#include "study/metric_path.hpp"
#include "study/run_state.hpp"

namespace switchyard::study {
namespace {

// The arms whose runs init.from names: "{study}/runs/ARM/...".
std::vector<std::string> arms_read_by(const Spec& spec, const Arm& arm) {
  const auto is_from = [](const Setting& setting) { return setting.key == "init.from"; };
  auto setting = std::ranges::find_if(arm.keys, is_from);
  if (setting == arm.keys.end()) {
    setting = std::ranges::find_if(spec.all, is_from);
    if (setting == spec.all.end()) return {};
  }
  std::vector<std::string> arms;
  for (const std::string& value : values_of(*setting)) {
    const std::string_view runs = "{study}/runs/";
    if (value.starts_with(runs))
      arms.push_back(value.substr(runs.size(), value.find('/', runs.size()) - runs.size()));
  }
  return arms;
}

// An arm that reads another one's runs must start after them and find one for each of its seeds.
void check_arms_read(const Spec& spec, const Arm& arm) {
  for (const std::string& read : arms_read_by(spec, arm)) {
    if (std::ranges::find(arm.after, read) == arm.after.end()) {
      throw ConfigError(fmt::format(
          "init.from of the arm {} reads the runs of {}, and `after` does not name it ({}: they may not "
          "have ended, and their checkpoints may be gone); write after = {}",
          arm.name, read, spec.file, read));
    }
    if (combinations(arm).size() > 1 && spec.options.selection_seeds > spec.options.seeds) {
      throw ConfigError(fmt::format(
          "study.selection_seeds = {} exceeds study.seeds = {} ({}: the arm {} selects with seeds of "
          "which {} has no run); lower study.selection_seeds",
          spec.options.selection_seeds, spec.options.seeds, spec.file, arm.name, read));
    }
  }
}

void expect_countable(const Spec& spec) {
  constexpr std::size_t most_runs = 100'000;  // of more, something is a mistake
  std::size_t runs = 0;
  for (const Arm& arm : spec.arms) runs += combinations(arm).size();
  runs *= as_size(std::max(spec.options.seeds, spec.options.selection_seeds));
  if (runs <= most_runs) return;
  throw ConfigError(
      fmt::format("{} is a study of {} runs (more than {}); give fewer values or seeds (study.seeds)",
                  spec.file, runs, most_runs));
}

}  // namespace

void check_study(const Spec& spec, int ranks, const std::function<void(const run::Config&)>& check_run) {
  if (ranks % spec.options.ranks_per_run != 0) {
    throw ConfigError(fmt::format(
        "study.ranks_per_run = {} does not divide the {} rank(s) of this launch ({}); start a multiple "
        "of it, or set --study.ranks_per_run",
        spec.options.ranks_per_run, ranks, spec.file));
  }
  expect_countable(spec);
  std::set<index_t> layers;
  for (const Arm& arm : spec.arms) {
    check_arms_read(spec, arm);
    for (const Values& values : combinations(arm)) {
      const run::Config config = run_config(spec, arm, values, spec.options.first_seed, spec.options.dir);
      (void)moe::ranks_per_replica(static_cast<int>(spec.options.ranks_per_run), config.moe.replicas);
      layers.insert(layers_of(config));
      check_run(config);
    }
  }
  require_metric(spec.options.select_by, "study.select_by", spec.file, layers);
  for (const std::string& path : spec.options.metrics) require_metric(path, "study.metrics", spec.file, layers);
}

bool is_of_validation(std::string_view path) {
  return path.starts_with("validation.") || path.starts_with("best.");
}

void check_selectable(const Options& options, const Job& job, index_t validation_samples) {
  if (job.purpose != Purpose::selection || validation_samples > 0 || !is_of_validation(options.select_by))
    return;
  throw ConfigError(fmt::format(
      "study.select_by = {} selects by a number that no run with {} has (there is no validation split); name a "
      "number that they have, such as train.loss, or see to a split (data.validation_samples, or more text)",
      options.select_by, text_of(job.values)));
}

void check_stored_runs(const Spec& spec, const ReadConfig& read_config) {
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    // Of a grid, the results' configurations are known after the selection.
    const bool is_grid = combinations(spec.arms[a]).size() > 1;
    for (const Job& job : is_grid ? selection_jobs(spec, a) : result_jobs(spec, a, 0))
      check_same_run(job.config.run.dir, job, spec, read_config);
  }
}

}  // namespace switchyard::study
