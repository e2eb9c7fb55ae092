#include "study/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace switchyard::study {
namespace {

std::string selection_folder(const Arm& arm, const Values& values, std::int64_t seed) {
  return fmt::format("selection/{}/{}/seed-{}", arm.name, label_of(values), seed_text(seed));
}

Job make_job(const Spec& spec, std::size_t arm, std::size_t combination, const Values& values,
             std::int64_t seed, Purpose purpose) {
  const Arm& of = spec.arms[arm];
  const std::string folder =
      purpose == Purpose::selection ? selection_folder(of, values, seed) : result_folder(of, seed);
  const std::string path = (std::filesystem::path(spec.options.dir) / folder).string();
  Job job{.arm = arm,
          .combination = combination,
          .values = values,
          .seed = seed,
          .purpose = purpose,
          .folder = folder,
          .config = run_config(spec, of, values, seed, path)};
  if (purpose == Purpose::selection && spec.options.selection_epochs > 0)
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
      jobs.push_back(make_job(spec, arm, c, grid[c], spec.options.first_seed + i, Purpose::selection));
  }
  return jobs;
}

std::vector<Job> result_jobs(const Spec& spec, std::size_t arm, std::size_t combination) {
  std::vector<Job> jobs;
  const Values values = combinations(spec.arms[arm])[combination];
  for (std::int64_t i = 0; i < spec.options.seeds; ++i)
    jobs.push_back(make_job(spec, arm, combination, values, spec.options.first_seed + i, Purpose::result));
  return jobs;
}

std::vector<std::vector<std::size_t>> assign_round_robin(const std::vector<Job>& jobs, int groups) {
  std::vector<std::vector<std::size_t>> assigned(static_cast<std::size_t>(groups));
  for (std::size_t i = 0; i < jobs.size(); ++i) assigned[i % assigned.size()].push_back(i);
  for (std::vector<std::size_t>& list : assigned)
    std::ranges::stable_sort(list, {}, [&](std::size_t i) { return jobs[i].seed; });
  return assigned;
}

}  // namespace switchyard::study
