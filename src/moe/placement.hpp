// Which rank hosts which expert.
//
// moe: gates and routing, the regularisers, placement, the dispatch plan, the exchange, experts, the layer that
// joins them, and gate statistics. A layer's forward is route -> plan -> dispatch -> experts -> combine.
#pragma once

#include <span>
#include <vector>

#include "base/ids.hpp"
#include "moe/options.hpp"

namespace switchyard::moe {

// A table, expert -> rank. Any number of experts on any number of ranks; a rank may host none.
class Placement {
 public:
  // owner[e] is the rank of expert e.
  Placement(std::vector<GroupRank> owner, int ranks);
  // block: neighbours together, rank r has [r E / R, (r + 1) E / R). cyclic: expert e on rank e mod R.
  static Placement make(PlacementRule rule, index_t experts, int ranks);

  index_t expert_count() const { return static_cast<index_t>(owner_.size()); }
  int rank_count() const { return static_cast<int>(hosted_.size()); }
  GroupRank owner(ExpertId expert) const { return owner_[static_cast<std::size_t>(expert.value)]; }
  LocalExpert local(ExpertId expert) const { return local_[static_cast<std::size_t>(expert.value)]; }
  // Ascending.
  std::span<const ExpertId> hosted_by(GroupRank rank) const {
    return hosted_[static_cast<std::size_t>(rank.value)];
  }

 private:
  std::vector<GroupRank> owner_;
  std::vector<LocalExpert> local_;
  std::vector<std::vector<ExpertId>> hosted_;
};

}  // namespace switchyard::moe
