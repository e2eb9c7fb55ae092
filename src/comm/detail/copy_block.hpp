// Copies of blocks that may be in place already.
#pragma once

#include <cstddef>
#include <cstring>

#include "base/ids.hpp"

namespace switchyard::comm::detail {

// Nothing to do if both are the same place; they must not overlap otherwise. Null is allowed with zero bytes.
inline void copy_block(const std::byte* from, std::byte* to, index_t bytes) {
  if (bytes > 0 && from != to) std::memcpy(to, from, as_size(bytes));
}

}  // namespace switchyard::comm::detail
