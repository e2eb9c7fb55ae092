#include "study/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/span.hpp"

namespace switchyard::study {
namespace {

std::string selection_folder(const Arm& arm, const Values& values, std::int64_t seed) {
  return fmt::format("selection/{}/{}/seed-{}", arm.name, label_of(values), seed_text(seed));
}

// With what follows from the job's own place in the study.
Job completed(const Spec& spec, Job job) {
  const Arm& of = spec.arms[job.arm];
  const bool is_selection = job.purpose == Purpose::selection;
  job.folder = is_selection ? selection_folder(of, job.values, job.seed) : result_folder(of, job.seed);
  const std::string path = (std::filesystem::path(spec.options.dir) / job.folder).string();
  job.config = run_config(spec, of, job.values, job.seed, path);
  if (is_selection && spec.options.selection_epochs > 0)
    job.config.train.epochs = spec.options.selection_epochs;
  return job;
}

}  // namespace

std::string result_folder(const Arm& arm, std::int64_t seed) {
  return fmt::format("runs/{}/seed-{}", arm.name, seed_text(seed));
}

std::vector<Job> selection_jobs(const Spec& spec, std::size_t arm) {
  std::vector<Job> jobs;
  const std::vector<Values> grid = combinations(spec.arms[arm]);
  if (grid.size() == 1) return jobs;
  for (std::size_t c = 0; c < grid.size(); ++c) {
    for (std::int64_t i = 0; i < spec.options.selection_seeds; ++i)
      jobs.push_back(completed(spec, {.arm = arm,
                                      .combination = c,
                                      .values = grid[c],
                                      .seed = spec.options.first_seed + i,
                                      .purpose = Purpose::selection}));
  }
  return jobs;
}

std::vector<Job> result_jobs(const Spec& spec, std::size_t arm, std::size_t combination) {
  std::vector<Job> jobs;
  const Values values = combinations(spec.arms[arm])[combination];
  for (std::int64_t i = 0; i < spec.options.seeds; ++i)
    jobs.push_back(completed(
        spec, {.arm = arm, .combination = combination, .values = values, .seed = spec.options.first_seed + i}));
  return jobs;
}

std::vector<std::vector<std::size_t>> assign_round_robin(const std::vector<Job>& jobs, int groups) {
  Vector<std::vector<std::size_t>> assigned(groups);
  for (std::size_t i = 0; i < jobs.size(); ++i) assigned[i % assigned.size()].push_back(i);
  for (std::vector<std::size_t>& list : assigned)
    std::ranges::stable_sort(list, {}, [&](std::size_t i) { return jobs[i].seed; });
  return assigned;
}

}  // namespace switchyard::study
