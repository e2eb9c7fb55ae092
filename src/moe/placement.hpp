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

// The ranks of a run are as many equal parts, each of which hosts every expert once. Throws ConfigError if
// there are no such parts.
int ranks_per_replica(int ranks, index_t replicas);

// A table, expert -> rank. Any number of experts on any number of ranks; a rank may host none. With replicas
// the parts of the ranks are neighbours, each with all experts in the same places (comm/replica_group.hpp).
class Placement {
 public:
  // owner[e] is the rank of expert e, within a part.
  Placement(Vector<GroupRank> owner, int ranks, int replicas = 1);
  // block: neighbours together, rank r of R has [r E / R, (r + 1) E / R). cyclic: expert e on rank e mod R.
  // Throws ConfigError where the ranks are not `replicas` equal parts.
  static Placement make(PlacementRule rule, index_t experts, int ranks, int replicas = 1);
  static Placement make(const Options& options, int ranks) {
    return make(options.placement, options.experts, ranks, static_cast<int>(options.replicas));
  }

  index_t expert_count() const { return std::ssize(owner_); }
  int rank_count() const { return static_cast<int>(hosted_.size()); }
  int replicas() const { return replicas_; }
  // Which copies a rank hosts.
  int replica_of(GroupRank rank) const { return rank.value / (rank_count() / replicas_); }
  GroupRank owner(ExpertId expert, int replica = 0) const {
    return GroupRank(owner_[expert].value + replica * (rank_count() / replicas_));
  }
  LocalExpert local(ExpertId expert) const { return local_[expert]; }
  // Ascending.
  Span<const ExpertId> hosted_by(GroupRank rank) const { return hosted_[rank]; }

 private:
  Vector<GroupRank> owner_;
  Vector<LocalExpert> local_;
  Vector<Vector<ExpertId>> hosted_;
  int replicas_;
};

}  // namespace switchyard::moe
