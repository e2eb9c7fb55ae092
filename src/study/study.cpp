#include "study/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/error.hpp"
#include "base/span.hpp"
#include "comm/agreement.hpp"
#include "comm/watchdog.hpp"
#include "files/replacement.hpp"
#include "study/check.hpp"
#include "study/group_runner.hpp"
#include "study/progress.hpp"
#include "study/stop_relay.hpp"
#include "study/study_folder.hpp"
#include "study/tables.hpp"

namespace switchyard::study {
namespace {

// All methods are collective over the world unless they say otherwise.
class Study {
 public:
  Study(const Spec& spec, const Means& means);
  run::Outcome run();

 private:
  bool run_level(int level);
  bool run_stage(const std::vector<Job>& jobs);
  std::vector<Job> open_jobs(const std::vector<Job>& jobs);
  bool is_open_job(const Job& job);
  void take_from_selection(const std::vector<Job>& results);
  bool run_share(const std::vector<Job>& jobs);
  bool run_job(const Job& job);
  void select(int level);
  void write_results() const;
  std::vector<std::string> unneeded_folders(int level) const;
  void remove_unneeded_checkpoints(int level) const;
  std::string checkpoint_note() const;
  run::Outcome finish(bool stopped);

  // All ranks agree on whether what the root does, local, succeeds.
  void at_root(const std::function<void()>& action) const {
    comm::agree(*world_, [&] {
      if (world_->is_root()) action();
    });
  }
  // Groups meet only after hours: a rank may wait for ever, apart from its waits inside a run.
  void wait_without_limit() const {
    if (world_->watchdog() != nullptr) world_->watchdog()->set_limit_seconds(0);
  }
  std::filesystem::path path(const std::string& run_folder) const { return root_ / run_folder; }

  const Spec& spec_;
  const Means& means_;
  comm::Communicator* world_;
  std::filesystem::path root_;
  std::vector<int> level_;                            // by arm
  std::vector<int> last_level_;                       // by arm
  std::vector<std::optional<std::size_t>> selected_;  // by arm
  int groups_;
  files::File lock_;  // root only
  std::unique_ptr<comm::Communicator> group_;
  std::optional<GroupRunner> runner_;
  std::optional<Progress> progress_;  // roots of groups
  std::jthread relay_;
};

Study::Study(const Spec& spec, const Means& means)
    : spec_(spec),
      means_(means),
      world_(means.world),
      root_(spec.options.dir),
      level_(levels(spec)),
      last_level_(last_levels(spec)),
      selected_(spec.arms.size()),
      groups_(world_->size() / static_cast<int>(spec.options.ranks_per_run)) {
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    if (combinations(spec.arms[a]).size() == 1) selected_[a] = 0;
  }
  wait_without_limit();
  const std::filesystem::path stop_mark = root_ / "stop";
  at_root([&] {
    lock_ = make_and_lock(root_);
    check_stored_runs(spec, means.read_config);
    std::filesystem::remove(stop_mark);  // of a study that was killed
  });
  const int group = world_->rank().value / static_cast<int>(spec.options.ranks_per_run);
  group_ = world_->split(group);
  if (world_->watchdog() != nullptr) world_->watchdog()->set_group(group);  // others make runs of their own
  runner_.emplace(*group_, spec.options, means);
  if (group_->is_root()) progress_.emplace(spec);
  relay_ = relay_stop(stop_mark);
}

run::Outcome Study::run() {
  if (world_->is_root()) {
    console::StartTable table =
        study_table(spec_, {.ranks = world_->size(), .groups = groups_, .threads = means_.threads}, *progress_);
    table.warnings = means_.warnings;
    *means_.out << console::start_table(table, console::detect_terminal(1).style) << std::flush;
  }
  const int highest = *std::ranges::max_element(level_);
  bool stopped = false;
  for (int level = 0; level <= highest && !stopped; ++level) stopped = !run_level(level);
  return finish(stopped);
}

// False: asked to stop.
bool Study::run_level(int level) {
  std::vector<Job> selecting;
  for (std::size_t a = 0; a < spec_.arms.size(); ++a) {
    if (level_[a] == level) std::ranges::move(selection_jobs(spec_, a), std::back_inserter(selecting));
  }
  const bool selected = run_stage(selecting);
  if (selected) select(level);
  if (!selecting.empty()) write_results();  // with what was selected: results take hours
  if (!selected) return false;
  std::vector<Job> results;
  for (std::size_t a = 0; a < spec_.arms.size(); ++a) {
    if (level_[a] == level && selected_[a])
      std::ranges::move(result_jobs(spec_, a, *selected_[a]), std::back_inserter(results));
  }
  take_from_selection(results);
  const bool done = run_stage(results);
  if (!results.empty()) write_results();
  if (!done) return false;
  at_root([&] { remove_unneeded_checkpoints(level); });
  return true;
}

bool Study::run_stage(const std::vector<Job>& jobs) {
  if (jobs.empty()) return true;
  std::int64_t stopped = run_share(open_jobs(jobs)) ? 0 : 1;
  world_->all_reduce_max({&stopped, 1});
  return stopped == 0;
}

// Records, and says, that a run is skipped; a record of an earlier time counts no more. Root only; local.
bool Study::is_open_job(const Job& job) {
  const RunStatus status = run_status(path(job.folder));
  if (status != RunStatus::missing && status != RunStatus::skipped) return !is_done(status);
  const std::string reason = reason_to_skip(spec_, job, selected_);
  if (reason.empty()) {
    if (status == RunStatus::skipped) remove_skip(path(job.folder));
    return true;
  }
  if (status == RunStatus::missing) {
    record_skip(path(job.folder), reason);
    *means_.out << skip_line(spec_, job, reason, *progress_) + "\n" << std::flush;
  }
  return false;
}

// Those that are not done, on every rank alike.
std::vector<Job> Study::open_jobs(const std::vector<Job>& jobs) {
  std::vector<char> is_open(jobs.size());
  at_root([&] {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      check_same_run(path(jobs[i].folder), jobs[i], spec_, means_.read_config);
      is_open[i] = is_open_job(jobs[i]) ? 1 : 0;
    }
  });
  world_->broadcast(Span<char>(is_open), GroupRank(0));
  std::vector<Job> open;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (is_open[i] != 0) open.push_back(jobs[i]);
  }
  return open;
}

// A run that the selection made with the values that it selected is not made again.
void Study::take_from_selection(const std::vector<Job>& results) {
  at_root([&] {
    for (const Job& job : results) {
      // Of the selection's runs the last checkpoint is gone, which arms that come after would begin with.
      const bool is_read = last_level_[job.arm] > level_[job.arm] && !spec_.options.keep_checkpoints;
      const std::string same = is_read ? "" : same_selection_folder(spec_, job);
      if (same.empty() || run_status(path(same)) != RunStatus::finished ||
          run_status(path(job.folder)) != RunStatus::missing)
        continue;
      copy_run(path(same), path(job.folder), run::schema().to_ini(job.config));
      const RunResult run = read_run(spec_.options, job.folder, job.seed);
      *means_.out << copied_line(spec_, job, run, *progress_) + "\n" << std::flush;
    }
  });
}

// This group's share; other groups do theirs at the same time. False: asked to stop. Collective over the group.
bool Study::run_share(const std::vector<Job>& jobs) {
  const int mine = world_->rank().value / group_->size();
  const Vector<std::vector<std::size_t>> assigned = assign_round_robin(jobs, groups_);
  try {
    for (const std::size_t i : assigned[mine]) {
      if (runner_->stop_requested() || !run_job(jobs[i])) return false;
    }
  } catch (const AgreedError& error) {
    if (groups_ == 1) throw;
    // Agreed in this group only: its root ends all ranks, and the others of the group wait for that.
    if (group_->is_root()) throw Error(error.kind(), error.what());
    group_->barrier();
    throw;
  }
  return true;
}

// False: it was stopped. Collective over the group.
bool Study::run_job(const Job& job) {
  const auto begin = std::chrono::steady_clock::now();
  const Ended ended = runner_->run(job);
  wait_without_limit();
  if (ended == Ended::stopped) return false;
  if (!group_->is_root()) return true;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const RunResult run = read_run(spec_.options, job.folder, job.seed);
  *means_.out << run_line(spec_, job, run, seconds.count(), *progress_) + "\n" << std::flush;
  const bool is_needed = job.purpose == Purpose::result && last_level_[job.arm] > level_[job.arm];
  if (ended == Ended::finished && !is_needed && !spec_.options.keep_checkpoints)
    remove_checkpoints(path(job.folder));
  return true;
}

void Study::select(int level) {
  for (std::size_t a = 0; a < spec_.arms.size(); ++a) {
    if (level_[a] != level || selected_[a]) continue;
    std::int64_t chosen = -1;
    at_root([&] {
      const auto best = best_candidate(read_candidates(spec_, a));
      if (best) chosen = static_cast<std::int64_t>(*best);
    });
    world_->broadcast(Span<std::int64_t>(&chosen, 1), GroupRank(0));
    if (chosen >= 0) selected_[a] = as_size(chosen);
  }
}

void Study::write_results() const {
  at_root([&] {
    const Results results = read_results(spec_, selected_);
    files::replace_file(root_ / "runs.csv", results_csv(results), study_place);
    files::replace_file(root_ / "study.md", results_markdown(results, spec_.published), study_place);
    files::replace_file(root_ / "study.json", results_object(results, spec_.published).dump(2) + "\n",
                        study_place);
  });
}

// Of finished runs whose checkpoints are needed no more once this level is done. Root only; local.
std::vector<std::string> Study::unneeded_folders(int level) const {
  std::vector<std::string> folders;
  for (std::size_t a = 0; a < spec_.arms.size(); ++a) {
    if (level_[a] <= level) {
      for (const Job& job : selection_jobs(spec_, a)) folders.push_back(job.folder);
    }
    for (std::int64_t i = 0; last_level_[a] <= level && i < spec_.options.seeds; ++i)
      folders.push_back(result_folder(spec_.arms[a], spec_.options.first_seed + i));
  }
  std::erase_if(folders,
                [this](const std::string& folder) { return run_status(path(folder)) != RunStatus::finished; });
  return folders;
}

// Also what a study that was killed left behind. Root only; local.
void Study::remove_unneeded_checkpoints(int level) const {
  if (spec_.options.keep_checkpoints) return;
  for (const std::string& folder : unneeded_folders(level)) remove_checkpoints(path(folder));
}

// What became of the checkpoints, where some runs have kept none. Root only; local.
std::string Study::checkpoint_note() const {
  if (spec_.options.keep_checkpoints) return {};
  const std::vector<std::string> folders = unneeded_folders(*std::ranges::max_element(level_));
  const auto without = std::ranges::count_if(
      folders, [this](const std::string& folder) { return !has_best_checkpoint(path(folder)); });
  if (without == 0) return {};
  return fmt::format(
      "\nno checkpoint was kept of {} of {} runs (none is the best without a validation split, or where training ends "
      "before the first evaluation: train.evaluate_every_steps; study.keep_checkpoints = yes keeps the last ones)\n",
      without, folders.size());
}

run::Outcome Study::finish(bool stopped) {
  relay_ = {};
  world_->barrier();  // nobody makes the mark again
  if (world_->is_root()) std::filesystem::remove(root_ / "stop");
  if (stopped) {
    return {ExitCode::stopped_early,
            world_->is_root()
                ? fmt::format(
                      "stopped with {} of {} runs done (a signal asked for it); go on with the same command",
                      progress_->done(), progress_->total())
                : std::string()};
  }
  run::Outcome outcome;
  at_root([&] {
    const Results results = read_results(spec_, selected_);
    *means_.out << '\n' << results_markdown(results, spec_.published) << checkpoint_note() << '\n';
    outcome = outcome_of(results);
  });
  auto code = static_cast<std::int64_t>(outcome.code);
  world_->broadcast(Span<std::int64_t>(&code, 1), GroupRank(0));
  outcome.code = static_cast<ExitCode>(code);
  return outcome;
}

}  // namespace

run::Outcome run_study(const Spec& spec, const Means& means) { return Study(spec, means).run(); }

}  // namespace switchyard::study
