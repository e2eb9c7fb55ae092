// The rows of a rank for itself, where rows lie in the memory of a context.
#pragma once

#include <cstddef>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "comm/row_layout.hpp"
#include "device/context.hpp"

namespace switchyard::comm::detail {

// In the order of the context's computing. Nothing to do if both are the same place; they must not overlap
// otherwise. Null is allowed with zero bytes.
void copy_within(device::Context& context, const std::byte* from, std::byte* to, index_t bytes);

void copy_own_block(device::Context& context, GroupRank self, const std::byte* send, RowLayout send_layout,
                    std::byte* recv, RowLayout recv_layout, index_t row_bytes);

// Where a rank's rows begin, in a gather of rows of all.
index_t bytes_before(GroupRank rank, Span<const index_t> rows, index_t row_bytes);

}  // namespace switchyard::comm::detail
