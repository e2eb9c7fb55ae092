// The folder of one run: where its files are, and who may write them.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "files/file.hpp"
#include "run/options.hpp"

namespace switchyard::run {

// A run folder, held for writing by this process as long as the object lives.
//
//   config.ini      the effective configuration
//   metrics.jsonl   one object per line (run/metrics.hpp)
//   tensorboard/    the same for TensorBoard (run/event_log.hpp)
//   trace.json      what each rank did when (run/trace.hpp)
//   summary.json    the result (run/summary.hpp)
//   checkpoints/    step-0000200.h5 and so on (checkpoint/checkpoint.hpp)
//   lock            who writes here
//
// Only the root makes one, and nothing here communicates: the caller carries a failure to
// the other ranks. Every failure is a DataError (exit code 3) with the path and the system's reason.
class RunFolder {
 public:
  // For `switchyard train`. Makes the folder, its parents and checkpoints/, and takes the lock. A folder that
  // holds a run is refused, except with ResumeMode::automatic: then has_checkpoint() tells the caller whether
  // to go on from a checkpoint or to start.
  static RunFolder create(const std::filesystem::path& path, ResumeMode mode);
  // For `switchyard resume`. Takes the lock. Refused where there is no run; then nothing was written.
  static RunFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config_file() const { return path_ / "config.ini"; }
  std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path event_folder() const { return path_ / "tensorboard"; }
  std::filesystem::path trace_file() const { return path_ / "trace.json"; }
  std::filesystem::path summary_file() const { return path_ / "summary.json"; }
  std::filesystem::path checkpoint_folder() const { return path_ / "checkpoints"; }

  // Whether a run was started here: there is a config.ini or a checkpoint. A folder with other files is no run.
  bool has_run() const;
  bool has_checkpoint() const;

  // DataError unless the lock that this process holds is still the folder's: a user may have taken a "stale"
  // one away, and a second run may be there.
  void expect_held() const;
  // Both replace the file whole or not at all, and have reached the disk when they return.
  void write_config(std::string_view text) const;
  // Whether summary.json says that the run has ended, with success, after `steps` steps.
  bool has_result_of(index_t steps) const;
  void write_summary(const nlohmann::ordered_json& summary) const;

  RunFolder(RunFolder&&) noexcept = default;
  RunFolder& operator=(RunFolder&&) noexcept = default;
  // Of a run that was refused before its config.ini was written: takes away the folders that create() made.
  ~RunFolder();

 private:
  explicit RunFolder(std::filesystem::path path);
  void make();
  void expect_own_files() const;

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // by make(), inner ones last
  files::File lock_;
};

}  // namespace switchyard::run
