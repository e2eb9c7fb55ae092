#include "study/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "run/summary.hpp"
#include "study/metric_path.hpp"

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

Progress::Progress(const Spec& spec) : folder_(spec.options.dir), by_arm_(spec.arms.size()) {
  const auto add = [&](const Job& job) {
    open_.push_back({job.arm, static_cast<double>(job.config.train.epochs), job.folder});
  };
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    std::ranges::for_each(selection_jobs(spec, a), add);
    std::ranges::for_each(result_jobs(spec, a, 0), add);  // a folder for any combination
  }
  total_ = std::ssize(open_);
  done();
  finished_here_.clear();
}

index_t Progress::done() {
  std::erase_if(open_, [&](const Run& run) {
    const RunStatus status = run_status(folder_ / run.folder);
    if (status == RunStatus::finished) {
      const auto summary = run::finished_summary(folder_ / run.folder / "summary.json");
      by_arm_[run.arm].seconds += summary ? metric(*summary, "train.seconds").value_or(0) : 0;
      by_arm_[run.arm].epochs += run.epochs;
      finished_here_.push_back(run);
    }
    return is_done(status);
  });
  return total_ - std::ssize(open_);
}

double Progress::weight(const std::vector<Run>& runs) const {
  Trained all;
  for (const Trained& arm : by_arm_) {
    all.epochs += arm.epochs;
    all.seconds += arm.seconds;
  }
  double sum = 0;
  for (const Run& run : runs) {
    const Trained& known = by_arm_[run.arm].epochs > 0 ? by_arm_[run.arm] : all;
    sum += run.epochs * known.seconds / known.epochs;
  }
  return sum;
}

double Progress::work_left() {
  done();
  if (open_.empty()) return 0;
  const double done_weight = weight(finished_here_);
  return done_weight > 0 ? weight(open_) / done_weight : std::numeric_limits<double>::quiet_NaN();
}

double Progress::seconds_left() {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
  return passed.count() * work_left();
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
