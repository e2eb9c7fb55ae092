// The folder of one study: who may write there, and its files. Failures are DataErrors.
//
//   runs/ARM/seed-0001/                     runs with the selected values (run/run_folder.hpp)
//   selection/ARM/key=value/seed-0001/      runs that select
//   runs.csv, study.md, study.json          results
//   lock                                    who writes here
//   stop                                    while it runs: somebody asked to stop (stop_relay.hpp)
#pragma once

#include <filesystem>
#include <string_view>

#include "files/file.hpp"

namespace switchyard::study {

// How a user chooses the place of a study's files.
inline constexpr std::string_view study_place = "--study.dir=PATH";

// Makes the folder and its parents, and takes its lock: as long as that lives, this process alone writes there.
// Only the world's root does.
files::File make_and_lock(const std::filesystem::path& folder);

// Removes the checkpoints of a run that needs them no more, but for its best one. A run without a validation
// split, or that ended before the first evaluation, has none, and keeps none.
void remove_checkpoints(const std::filesystem::path& run_folder);
// Puts a finished run at a second place, where none is, as the run of `config` (the text of its config.ini);
// all of it or, if the study is killed, nothing.
void copy_run(const std::filesystem::path& from, const std::filesystem::path& to, std::string_view config);
// Whether the run has one that is called its best.
bool has_best_checkpoint(const std::filesystem::path& run_folder);

}  // namespace switchyard::study
