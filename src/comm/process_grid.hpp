// How the ranks of a run are divided into groups.
#pragma once

#include <memory>

#include "comm/communicator.hpp"
#include "comm/node_layout.hpp"

namespace switchyard::comm {

// world = replicas x ranks of one expert-parallel group. The ranks of one expert-parallel group host every
// expert once between them; the ranks of one replica group host the same experts, one rank per expert-parallel
// group.
//
//   6 ranks, 2 replicas:   replica 0: ranks 0 1 2     replica groups: {0 3} {1 4} {2 5}
//                          replica 1: ranks 3 4 5
//
// Neighbours in the world, which launchers place on one node, are in one expert-parallel group: it exchanges
// most.
class ProcessGrid {
 public:
  // Collective over `world`, which must outlive the grid. Throws ConfigError, on all ranks alike, if the number
  // of ranks is not a multiple of `replicas`.
  ProcessGrid(Communicator& world, int replicas, const NodeLayout& nodes);

  Communicator& world() { return world_; }
  Communicator& expert_parallel() { return *expert_parallel_; }
  Communicator& replica_group() { return *replica_group_; }
  Communicator& node() { return *node_; }
  int replicas() const { return replicas_; }
  int replica() const { return replica_; }  // the expert-parallel group that this rank is in

 private:
  Communicator& world_;
  int replicas_;
  int replica_;
  std::unique_ptr<Communicator> expert_parallel_;
  std::unique_ptr<Communicator> replica_group_;
  std::unique_ptr<Communicator> node_;
};

}  // namespace switchyard::comm
