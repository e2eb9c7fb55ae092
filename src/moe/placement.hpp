// Which rank hosts which expert.
//
// moe: gates and routing, the regularisers, placement, the dispatch plan, the exchange, experts, the layer that
// joins them, and gate statistics. A layer's forward is route -> plan -> dispatch -> experts -> combine ->
// weigh.
#pragma once

#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "moe/options.hpp"

namespace switchyard::moe {

// A table, expert -> rank. Any number of experts on any number of ranks; a rank may host none.
class Placement {
 public:
  // owner[e] is the rank of expert e.
  Placement(Vector<GroupRank> owner, int ranks);
  // block: neighbours together, rank r has [r E / R, (r + 1) E / R). cyclic: expert e on rank e mod R.
  static Placement make(PlacementRule rule, index_t experts, int ranks);

  index_t expert_count() const { return std::ssize(owner_); }
  int rank_count() const { return static_cast<int>(hosted_.size()); }
  GroupRank owner(ExpertId expert) const { return owner_[expert]; }
  LocalExpert local(ExpertId expert) const { return local_[expert]; }
  // Ascending.
  Span<const ExpertId> hosted_by(GroupRank rank) const { return hosted_[rank]; }

 private:
  Vector<GroupRank> owner_;
  Vector<LocalExpert> local_;
  Vector<Vector<ExpertId>> hosted_;
};

}  // namespace switchyard::moe
