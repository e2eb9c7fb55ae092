// How a whole is cut into parts of nearly equal size: the batch into shards, the shards among the ranks.
//
// Every room that needs such a bound takes it from here, so that all ranks and all layers cut alike.
#pragma once

#include "base/ids.hpp"

namespace switchyard {

// The half-open range [begin, end) of positions.
struct IndexRange {
  index_t begin = 0;
  index_t end = 0;

  constexpr index_t size() const { return end - begin; }
  constexpr bool empty() const { return begin == end; }
  constexpr bool operator==(const IndexRange&) const = default;
};

// floor(part * total / parts): where part `part` of `parts` begins in [0, total). `part` may be `parts`, which
// gives total. Parts differ by at most one; some are empty where parts > total. total >= 0, parts >= 1, 0 <=
// part <= parts.
constexpr index_t partition_begin(index_t total, index_t parts, index_t part) {
  // With total = q * parts + r, the product part * total, which may overflow, is never formed.
  return part * (total / parts) + part * (total % parts) / parts;
}

constexpr IndexRange partition(index_t total, index_t parts, index_t part) {
  return {partition_begin(total, parts, part), partition_begin(total, parts, part + 1)};
}

// A whole in parts, and the parts shared out among owners: each has neighbouring ones, in the owners' order,
// and some have none where owners > parts.
struct SharedParts {
  index_t total = 0;
  index_t parts = 1;
  index_t owners = 1;

  constexpr IndexRange parts_of(index_t owner) const { return partition(parts, owners, owner); }
  // What those parts are of [0, total).
  constexpr IndexRange range_of(index_t owner) const {
    const IndexRange mine = parts_of(owner);
    return {partition_begin(total, parts, mine.begin), partition_begin(total, parts, mine.end)};
  }
};

constexpr index_t round_up(index_t value, index_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace switchyard
