#include "moe/placement.hpp"

#include "base/contract.hpp"
#include "base/partition.hpp"
#include "base/span.hpp"

namespace switchyard::moe {

Placement::Placement(Vector<GroupRank> owner, int ranks) : owner_(std::move(owner)), hosted_(ranks) {
  for (std::size_t e = 0; e < owner_.size(); ++e) {
    SY_EXPECTS(owner_[e].value >= 0 && owner_[e].value < ranks, "expert {} is placed on rank {} of {}", e,
               owner_[e].value, ranks);
    auto& hosted = hosted_[owner_[e]];
    local_.emplace_back(hosted.size());
    hosted.emplace_back(e);
  }
}

Placement Placement::make(PlacementRule rule, index_t experts, int ranks) {
  Vector<GroupRank> owner(experts);
  for (int rank = 0; rank < ranks; ++rank) {
    const IndexRange share = partition(experts, ranks, rank);
    for (index_t e = share.begin; e < share.end; ++e)
      owner[e] = rule == PlacementRule::block ? GroupRank(rank) : GroupRank(e % ranks);
  }
  return Placement(std::move(owner), ranks);
}

}  // namespace switchyard::moe
