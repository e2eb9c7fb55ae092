// The folder of one study: who may write there, and its files.
#pragma once

#include <filesystem>
#include <string_view>

#include "files/file.hpp"

namespace switchyard::study {

// Held for writing by this process as long as the object lives. Only the world's root makes one. Failures are
// DataErrors.
//
//   runs/ARM/seed-0001/                     runs with the selected values (run/run_folder.hpp)
//   selection/ARM/key=value/seed-0001/      runs that select
//   runs.csv, study.md, study.json          results
//   lock                                    who writes here
//   stop                                    while it runs: somebody asked to stop (stop_relay.hpp)
class StudyFolder {
 public:
  // Makes the folder and its parents, and takes the lock.
  explicit StudyFolder(const std::filesystem::path& path);

  // Replaces the file `name` whole or not at all.
  void write(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path path_;
  files::File lock_;
};

// Removes the checkpoints of a run that needs them no more, but for its best one. A run without a validation
// split has none, and keeps none.
void remove_checkpoints(const std::filesystem::path& run_folder);
// Whether the run has one that is called its best.
bool has_best_checkpoint(const std::filesystem::path& run_folder);

}  // namespace switchyard::study
