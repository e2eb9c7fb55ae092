// What the ranks of a run share though nobody sends it: the data that each has read, and the run folder.
#pragma once

#include <filesystem>

#include "comm/communicator.hpp"
#include "data/dataset.hpp"

namespace switchyard::run {

// Throws DataError on every rank if the ranks read different samples or ids of them, wherever each has its
// copy. Collective.
void expect_same_data(comm::Communicator& communicator, const data::Dataset& dataset);

// Throws DataError on every rank if one of them does not see the run folder that the root holds: it looks for
// the root's lock file, for two seconds, since a network file system may show it late. Collective.
void expect_folder_seen(comm::Communicator& communicator, const std::filesystem::path& folder);

}  // namespace switchyard::run
