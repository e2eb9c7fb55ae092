// checkpoint::save, with what only tests choose.
#pragma once

#include <filesystem>

#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/file_writer.hpp"

namespace switchyard::checkpoint::detail {

// As checkpoint::save. Without a reservation, a disk can fill up in the middle of writing or when the file is
// closed.
void save(comm::Communicator& communicator, const std::filesystem::path& folder, const Snapshot& snapshot,
          const SaveOptions& options, ReserveSpace reserve);

}  // namespace switchyard::checkpoint::detail
