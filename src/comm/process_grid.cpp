#include "comm/process_grid.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace switchyard::comm {
namespace {

int ranks_per_replica(int ranks, int replicas) {
  if (replicas < 1 || ranks % replicas != 0) {
    throw ConfigError(
        fmt::format("{} ranks cannot hold {} replicas of the experts (each replica needs equally many "
                    "ranks); use a number of replicas that divides the number of ranks",
                    ranks, replicas));
  }
  return ranks / replicas;
}

}  // namespace

ProcessGrid::ProcessGrid(Communicator& world, int replicas, const NodeLayout& nodes)
    : world_(world),
      replicas_(replicas),
      replica_(world.rank().value / ranks_per_replica(world.size(), replicas)),
      expert_parallel_(world.split(replica_)),
      replica_group_(world.split(expert_parallel_->rank().value)),
      node_(world.split(nodes.node)) {}

}  // namespace switchyard::comm
