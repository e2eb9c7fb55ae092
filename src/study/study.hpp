// A whole study on the ranks of the world.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"
#include "device/context.hpp"
#include "run/loop.hpp"
#include "study/spec.hpp"

namespace switchyard::study {

struct Means {
  comm::Communicator* world = nullptr;
  std::function<device::Context&(const run::Options&)> device;  // for a run's choice; local
  // A data plane of that device over a group of ranks, which outlive it. Collective over them.
  std::function<std::shared_ptr<comm::DataPlane>(comm::Communicator&)> make_plane;
  int threads = 1;                    // per rank, for the table at the start
  index_t most_held_bytes = 0;        // of samples as floats, on this rank
  std::vector<std::string> warnings;  // for the table, too
  ReadConfig read_config;
  std::ostream* out = nullptr;  // of the roots of groups
};

// Makes the runs that are not done, in stages: per level of arms, first those that select, then those of the
// results. Writes the results after every stage. The outcome is stopped_early where a signal asked for it.
// Collective over the world. What one group fails with, apart from a NumericError, ends all ranks.
run::Outcome run_study(const Spec& spec, const Means& means);

}  // namespace switchyard::study
