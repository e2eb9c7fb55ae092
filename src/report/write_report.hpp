// The page of a run or study, as a file.
#pragma once

#include <filesystem>

#include "base/ids.hpp"
#include "report/pages.hpp"

namespace switchyard::report {

// Writes the page (report/pages.hpp) of the run or study in `folder` to `file`, whole or not at all, and
// returns its size in bytes. Needs nothing of a run but its files, and takes no lock: a run may be writing
// there. Throws DataError. Local.
index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file,
                     const Headline& headline);

}  // namespace switchyard::report
