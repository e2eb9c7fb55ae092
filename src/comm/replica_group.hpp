// The ranks that hold copies of the same experts.
#pragma once

#include <functional>
#include <memory>

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"

namespace switchyard::comm {

// The ranks of a run are `replicas` equal parts of neighbours, each of which hosts every expert once. A group:
// the r-th ranks of all parts.
//
//   6 ranks, 2 replicas:   experts on ranks 0 1 2, and once more on ranks 3 4 5
//                          groups: {0 3} {1 4} {2 5}
//
// Neighbours in the world, which launchers place on one node, are in one part.
class ReplicaGroup {
 public:
  // A data plane over the ranks of a communicator, which outlives it. Collective over them.
  using MakeDataPlane = std::function<std::shared_ptr<DataPlane>(Communicator&)>;

  // Collective over `world`, which has a multiple of `replicas` ranks and must outlive the group.
  ReplicaGroup(Communicator& world, int replicas, const MakeDataPlane& make);
  // For ranks that compute on processors.
  ReplicaGroup(Communicator& world, int replicas);

  // Of which this rank has the number of its part.
  DataPlane& data_plane() { return *data_plane_; }

 private:
  std::unique_ptr<Communicator> group_;
  std::shared_ptr<DataPlane> data_plane_;
};

}  // namespace switchyard::comm
