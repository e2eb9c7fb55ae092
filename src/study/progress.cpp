#include "study/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace switchyard::study {
namespace {

std::string arm_text(const Spec& spec, std::size_t arm) {
  const Arm& of = spec.arms[arm];
  const std::size_t count = combinations(of).size();
  std::string text = fmt::format("{} run(s)", spec.options.seeds);
  if (count > 1) {
    text += fmt::format(", {} to select from {} combinations", selection_jobs(spec, arm).size(), count);
  }
  for (const std::string& name : of.after) text += fmt::format(", after {}", name);
  return text;
}

// "[12/40] original (moe.top_k=2) seed 3".
std::string job_text(const Spec& spec, const Job& job, Progress& progress) {
  const std::string of = job.purpose == Purpose::selection ? fmt::format(" ({})", text_of(job.values)) : "";
  return fmt::format("[{}/{}] {}{} seed {}", progress.done(), progress.total(), spec.arms[job.arm].name, of,
                     job.seed);
}

// "validation.error 0.1134, test.error 0.1201", or what became of the run.
std::string result_text(const Spec& spec, const RunResult& run) {
  if (run.status != RunStatus::finished) return std::string(name(run.status));
  constexpr std::size_t most_metrics = 3;
  std::string values;
  const auto add = [&](const std::string& name, const std::optional<double>& value) {
    if (value) values += fmt::format("{}{} {:.4g}", values.empty() ? "" : ", ", name, *value);
  };
  add(spec.options.select_by, run.select_by);
  for (std::size_t m = 0; m < std::min(most_metrics, run.metrics.size()); ++m) {
    if (spec.options.metrics[m] != spec.options.select_by) add(spec.options.metrics[m], run.metrics[m]);
  }
  return values;
}

}  // namespace

Progress::Progress(const Spec& spec) : folder_(spec.options.dir) {
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    for (const Job& job : selection_jobs(spec, a)) open_.push_back(job.folder);
    for (std::int64_t i = 0; i < spec.options.seeds; ++i)
      open_.push_back(result_folder(spec.arms[a], spec.options.first_seed + i));
  }
  total_ = std::ssize(open_);
  done_at_start_ = done();
}

index_t Progress::done() {
  std::erase_if(open_, [&](const std::string& run) { return is_done(run_status(folder_ / run)); });
  return total_ - std::ssize(open_);
}

double Progress::seconds_left() {
  const index_t now_done = done() - done_at_start_;
  if (now_done == 0) return std::numeric_limits<double>::quiet_NaN();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return seconds / static_cast<double>(now_done) * static_cast<double>(open_.size());
}

std::string run_line(const Spec& spec, const Job& job, const RunResult& run, double seconds,
                     Progress& progress) {
  return fmt::format("{}: {} ({}; about {} left)", job_text(spec, job, progress), result_text(spec, run),
                     console::duration_text(seconds), console::duration_text(progress.seconds_left()));
}

std::string copied_line(const Spec& spec, const Job& job, const RunResult& run, Progress& progress) {
  return fmt::format("{}: {} (its selection made it)", job_text(spec, job, progress), result_text(spec, run));
}

std::string skip_line(const Spec& spec, const Job& job, std::string_view reason, Progress& progress) {
  return fmt::format("{}: skipped ({})", job_text(spec, job, progress), reason);
}

console::StartTable study_table(const Spec& spec, const StudyLayout& layout, Progress& progress) {
  console::StartTable table;
  console::Section arms{.title = "arms", .rows = {}};
  for (std::size_t a = 0; a < spec.arms.size(); ++a)
    arms.rows.emplace_back(spec.arms[a].name, arm_text(spec, a));
  table.sections.push_back(std::move(arms));
  table.sections.push_back({"study",
                            {{"folder", spec.options.dir},
                             {"runs", fmt::format("{}, {} of them done", progress.total(), progress.done())},
                             {"quick", spec.options.quick ? "yes" : "no"}}});
  table.sections.push_back({"layout",
                            {{"ranks", fmt::format("{} in {} group(s) of {}", layout.ranks, layout.groups,
                                                   spec.options.ranks_per_run)},
                             {"threads", fmt::format("{} per rank", layout.threads)}}});
  return table;
}

}  // namespace switchyard::study
