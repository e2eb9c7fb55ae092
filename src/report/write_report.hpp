// The page of a run or study, as a file.
#pragma once

#include <filesystem>

#include "base/ids.hpp"

namespace switchyard::report {

// Writes the page (train/report/pages.hpp) of the run or study in `folder` to `file`, whole or not at all, and
// returns its size in bytes. Needs nothing of a run but its files, and takes no lock: a run may be writing
// there. Throws DataError. Local.
index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file);

}  // namespace switchyard::report
