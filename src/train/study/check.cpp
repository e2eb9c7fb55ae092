#include "train/study/check.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "train/study/metric_path.hpp"
#include "train/study/run_state.hpp"

namespace switchyard::train::study {

void check_study(const Spec& spec, int ranks, const std::function<void(const config::Config&)>& check_run) {
  if (ranks % spec.options.ranks_per_run != 0) {
    throw ConfigError(fmt::format(
        "study.ranks_per_run = {} does not divide the {} rank(s) of this launch ({}); start a multiple "
        "of it, or set --study.ranks_per_run",
        spec.options.ranks_per_run, ranks, spec.file));
  }
  require_metric(spec.options.select_by, "study.select_by", spec.file);
  for (const std::string& path : spec.options.metrics) require_metric(path, "study.metrics", spec.file);
  for (const Arm& arm : spec.arms) {
    for (const Values& values : combinations(arm))
      check_run(run_config(spec, arm, values, spec.options.first_seed, spec.options.dir));
  }
}

void check_stored_runs(const Spec& spec, const ReadConfig& read_config) {
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    // Of a grid, the results' configurations are known after the selection.
    const bool is_grid = combinations(spec.arms[a]).size() > 1;
    for (const Job& job : is_grid ? selection_jobs(spec, a) : result_jobs(spec, a, 0))
      check_same_run(job.config.run.dir, job, spec, read_config);
  }
}

}  // namespace switchyard::train::study
