// The ranks that hold copies of the same experts.
#pragma once

#include <memory>

#include "comm/communicator.hpp"
#include "comm/host_data_plane.hpp"

namespace switchyard::comm {

// The ranks of a run in `replicas` equal parts of neighbours, each of which hosts every expert once. Throws
// ConfigError if there are no such parts.
int ranks_per_replica(int ranks, int replicas);

// The r-th ranks of all parts.
//
//   6 ranks, 2 replicas:   experts on ranks 0 1 2, and once more on ranks 3 4 5
//                          groups: {0 3} {1 4} {2 5}
//
// Neighbours in the world, which launchers place on one node, are in one part.
class ReplicaGroup {
 public:
  // Collective over `world`. Throws on all ranks alike, as ranks_per_replica().
  ReplicaGroup(Communicator& world, int replicas)
      : group_(world.split(world.rank().value % ranks_per_replica(world.size(), replicas))),
        data_plane_(*group_) {}

  // Of which this rank has the number of its part.
  DataPlane& data_plane() { return data_plane_; }

 private:
  std::unique_ptr<Communicator> group_;
  HostDataPlane data_plane_;
};

}  // namespace switchyard::comm
