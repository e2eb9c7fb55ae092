// One writer per folder.
#pragma once

#include <filesystem>
#include <string_view>

#include "files/file.hpp"

namespace switchyard::files {

// For the sentence about a folder that is in use.
struct LockWords {
  std::string_view folder;  // "run folder"
  std::string_view writer;  // "run"
  std::string_view key;     // names another folder: "run.dir"
};

// An flock(2) on the file `lock` of `folder`, held as long as the result lives. The kernel drops it when this
// process ends, however it ends, so that a killed run can be resumed at once. The file itself stays: removing
// it would let two processes hold locks on two files of one name. Throws DataError if another process has it.
File lock_folder(const std::filesystem::path& folder, const LockWords& words);

// Whether a process has it, as far as this machine knows. For less than the patience of lock_folder() it asks
// for a lock that it shares with others who ask, and needs no more than to read the file. Local.
bool is_locked(const std::filesystem::path& folder);

}  // namespace switchyard::files
