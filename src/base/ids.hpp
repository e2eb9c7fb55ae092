// Index types that must not be mixed up. A rank of the world is not a rank of a group; a global expert is not
// the position of that expert on its owner.
#pragma once

#include <compare>
#include <cstdint>

namespace switchyard {

// Signed on purpose: differences and reverse loops are common, and 2 GiB element counts overflow int.
using index_t = std::int64_t;

template <class Tag>
struct StrongId {
  int value = -1;

  constexpr StrongId() = default;
  constexpr explicit StrongId(int v) : value(v) {}
  constexpr auto operator<=>(const StrongId&) const = default;
  constexpr index_t index() const { return value; }
};

using WorldRank = StrongId<struct WorldRankTag>;
using GroupRank = StrongId<struct GroupRankTag>;  // rank within one communicator
using NodeRank = StrongId<struct NodeRankTag>;
using ExpertId = StrongId<struct ExpertIdTag>;        // global
using LocalExpert = StrongId<struct LocalExpertTag>;  // position among the experts of one rank

}  // namespace switchyard
