// Index types that must not be mixed up. A rank of the world is not a rank of a group; a global expert is not
// the position of that expert on its owner.
#pragma once

#include <cassert>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace switchyard {

// Signed on purpose: differences and reverse loops are common, and 2 GiB element counts overflow int.
using index_t = std::int64_t;

template <class Tag>
struct StrongId {
  int value = -1;

  constexpr StrongId() = default;
  template <std::integral I>
  constexpr explicit StrongId(I v) : value(static_cast<int>(v)) {
    assert(std::in_range<int>(v));
  }
  constexpr auto operator<=>(const StrongId&) const = default;
  constexpr index_t index() const { return value; }
};

using WorldRank = StrongId<struct WorldRankTag>;
using GroupRank = StrongId<struct GroupRankTag>;  // rank within one communicator
using NodeRank = StrongId<struct NodeRankTag>;
using ExpertId = StrongId<struct ExpertIdTag>;        // global
using LocalExpert = StrongId<struct LocalExpertTag>;  // position among the experts of one rank

// What the standard library asks for where we have an index or a count. A negative one becomes larger than any
// size.
template <class I>
requires std::integral<I> || std::is_enum_v<I>
constexpr std::size_t as_size(I i) { return static_cast<std::size_t>(i); }
template <class Tag>
constexpr std::size_t as_size(StrongId<Tag> id) {
  return as_size(id.value);
}

// What as_size() takes.
template <class I>
concept Index = requires(I i) {
  as_size(i);
};

// sizeof(T) as a factor of counts.
template <class T>
inline constexpr index_t size_of = static_cast<index_t>(sizeof(T));

}  // namespace switchyard
