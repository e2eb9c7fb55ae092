// Rows that a caller gave against the group that moves them, before any rank waits.
#pragma once

#include "base/ids.hpp"
#include "base/span.hpp"
#include "comm/row_layout.hpp"

namespace switchyard::comm::detail {

// Who asks: a rank of a group of so many.
struct Member {
  GroupRank rank;
  int size;
};

// ContractViolation if the blocks of an exchange do not fit the group, or what a rank sends to itself is not
// what it receives.
void require_exchange(Member member, RowLayout send, RowLayout recv, index_t row_bytes);
// ContractViolation if the buffers do not hold the rows of one rank and of all. Returns the rows of all.
index_t require_gather(Member member, Span<const std::byte> mine, Span<const std::byte> all,
                       Span<const index_t> rows, index_t row_bytes);

}  // namespace switchyard::comm::detail
