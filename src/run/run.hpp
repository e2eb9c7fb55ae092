// A whole run, from a configuration to its outcome: what `switchyard train`, `resume` and `study` share.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "run/inherited_weights.hpp"
#include "run/loop.hpp"

namespace switchyard::run {

// A run that is about to start or to go on, as the ranks agreed on it.
struct PreparedRun {
  Config config;
  std::optional<RunFolder> folder;  // root only
  std::string checkpoint;           // to go on from; empty: from the start
  InheritedWeights inherited;       // of a run from the start, once it has begun
};

// Makes or opens config.run.dir as config.run.resume says, and finds the checkpoint to go on from. If there is
// one, the root calls `check` with its path; what it throws refuses the run. Collective.
PreparedRun prepare_run(comm::Communicator& communicator, const Config& config,
                        const std::function<void(const std::filesystem::path& checkpoint)>& check);

// The path of the newest valid checkpoint, or nothing if the folder holds none. Local.
std::string newest_checkpoint(const RunFolder& folder);

struct RunMeans {
  comm::Resources resources;
  const data::Dataset* dataset = nullptr;
  index_t most_held_bytes = 0;               // of samples as floats, on this rank
  std::ostream* out = nullptr;               // progress and result, on every rank; only the root writes
  std::function<void(Loop& loop)> announce;  // before the first step, on all ranks
};
// Trains to the end, or until it is asked to stop. Collective. A failure that all ranks share is an
// AgreedError.
Outcome execute(PreparedRun& prepared, const RunMeans& means);

}  // namespace switchyard::run
