// Cutting [0, total) into parts.
#pragma once

#include "base/ids.hpp"

namespace switchyard {

// Where part `part` of `parts` begins: floor(part * total / parts). Sizes differ by at most one; parts may be empty.
constexpr index_t partition_begin(index_t total, index_t parts, index_t part) { return part * total / parts; }

struct Range {
  index_t begin = 0;
  index_t end = 0;
  constexpr index_t count() const { return end - begin; }
};

constexpr Range partition(index_t total, index_t parts, index_t part) {
  return {partition_begin(total, parts, part), partition_begin(total, parts, part + 1)};
}

constexpr index_t round_up(index_t value, index_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace switchyard
