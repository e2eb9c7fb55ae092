#include "moe/placement.hpp"

#include "base/contract.hpp"
#include "base/partition.hpp"

namespace switchyard::moe {

Placement::Placement(std::vector<GroupRank> owner, int ranks)
    : owner_(std::move(owner)), hosted_(static_cast<std::size_t>(ranks)) {
  for (std::size_t e = 0; e < owner_.size(); ++e) {
    SY_EXPECTS(owner_[e].value >= 0 && owner_[e].value < ranks, "expert {} is placed on rank {} of {}", e,
               owner_[e].value, ranks);
    auto& hosted = hosted_[static_cast<std::size_t>(owner_[e].value)];
    local_.emplace_back(static_cast<int>(hosted.size()));
    hosted.emplace_back(static_cast<int>(e));
  }
}

Placement Placement::make(PlacementRule rule, index_t experts, int ranks) {
  std::vector<GroupRank> owner(static_cast<std::size_t>(experts));
  switch (rule) {
    case PlacementRule::block:
      for (int rank = 0; rank < ranks; ++rank) {
        const IndexRange share = partition(experts, ranks, rank);
        for (index_t e = share.begin; e < share.end; ++e) owner[static_cast<std::size_t>(e)] = GroupRank(rank);
      }
      break;
    case PlacementRule::cyclic:
      for (index_t e = 0; e < experts; ++e)
        owner[static_cast<std::size_t>(e)] = GroupRank(static_cast<int>(e % ranks));
      break;
  }
  return Placement(std::move(owner), ranks);
}

}  // namespace switchyard::moe
