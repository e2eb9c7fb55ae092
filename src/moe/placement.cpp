#include "moe/placement.hpp"

#include <fmt/format.h>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/partition.hpp"
#include "base/span.hpp"

namespace switchyard::moe {

int ranks_per_replica(int ranks, index_t replicas) {
  if (replicas < 1 || ranks % replicas != 0) {
    throw ConfigError(fmt::format(
        "{} rank(s) cannot hold {} replicas of the experts (each replica needs equally many ranks); set "
        "moe.replicas to a divisor of the number of ranks",
        ranks, replicas));
  }
  return ranks / static_cast<int>(replicas);
}

Placement::Placement(Vector<GroupRank> owner, int ranks, int replicas)
    : owner_(std::move(owner)), hosted_(ranks), replicas_(replicas) {
  const int part = ranks_per_replica(ranks, replicas);
  for (std::size_t e = 0; e < owner_.size(); ++e) {
    SY_EXPECTS(owner_[e].value >= 0 && owner_[e].value < part, "expert {} is placed on rank {} of {}", e,
               owner_[e].value, part);
    local_.emplace_back(hosted_[owner_[e]].size());
    for (int replica = 0; replica < replicas; ++replica)
      hosted_[this->owner(ExpertId(e), replica)].emplace_back(e);
  }
}

Placement Placement::make(PlacementRule rule, index_t experts, int ranks, int replicas) {
  Vector<GroupRank> owner(experts);
  const int part = ranks_per_replica(ranks, replicas);
  for (int rank = 0; rank < part; ++rank) {
    const IndexRange share = partition(experts, part, rank);
    for (index_t e = share.begin; e < share.end; ++e)
      owner[e] = rule == PlacementRule::block ? GroupRank(rank) : GroupRank(e % part);
  }
  return Placement(std::move(owner), ranks, replicas);
}

}  // namespace switchyard::moe
