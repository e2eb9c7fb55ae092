#include "comm/replica_group.hpp"

#include "base/contract.hpp"
#include "comm/host_data_plane.hpp"

namespace switchyard::comm {
namespace {

int ranks_of_part(const Communicator& world, int replicas) {
  SY_EXPECTS(replicas >= 1 && world.size() % replicas == 0, "{} ranks in {} parts", world.size(), replicas);
  return world.size() / replicas;
}

}  // namespace

ReplicaGroup::ReplicaGroup(Communicator& world, int replicas, const MakeDataPlane& make)
    : group_(world.split(world.rank().value % ranks_of_part(world, replicas))), data_plane_(make(*group_)) {}

ReplicaGroup::ReplicaGroup(Communicator& world, int replicas)
    : ReplicaGroup(world, replicas,
                   [](Communicator& group) { return std::make_unique<HostDataPlane>(group); }) {}

}  // namespace switchyard::comm
