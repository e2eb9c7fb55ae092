// The folder of checkpoints: names, publication, removal of old files. No HDF5, no messages; used by the root.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.hpp"
#include "files/replacement.hpp"

namespace switchyard::checkpoint::detail {

// "step-0000200.h5"; more digits where the step needs them.
std::string file_name(index_t step);
// Of such a name; nothing if it is another kind of name.
std::optional<index_t> step_of(std::string_view file_name);

// Temporary files that a killed run has left. Failure to remove one is a warning.
void remove_leftovers(const std::filesystem::path& folder);

// `file` is written and on the disk. Gives it its name, then moves `latest` (and `best`). All that needs space
// is done before the first name changes, so that a full disk changes nothing. Throws Failure.
void publish(files::TemporaryName& file, const std::filesystem::path& folder, index_t step,
             const SaveOptions& options);

// Removes checkpoints older than the newest `keep_last` ones up to `step`. Never touches those that `latest`
// and `best` name, nor steps beyond `step`, which a run that was resumed from an older checkpoint has yet to
// reach. Failure to remove one is a warning.
void remove_old(const std::filesystem::path& folder, index_t step, index_t keep_last);

}  // namespace switchyard::checkpoint::detail
