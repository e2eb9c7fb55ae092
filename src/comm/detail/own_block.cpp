#include "comm/detail/own_block.hpp"

#include <numeric>

#include "device/copy.hpp"

namespace switchyard::comm::detail {

void copy_within(device::Context& context, const std::byte* from, std::byte* to, index_t bytes) {
  if (bytes > 0 && from != to)
    device::copy_bytes(context, from, to, as_size(bytes), device::cuda::CopyDirection::within_device);
}

void copy_own_block(device::Context& context, GroupRank self, const std::byte* send, RowLayout send_layout,
                    std::byte* recv, RowLayout recv_layout, index_t row_bytes) {
  const index_t bytes = send_layout.rows[self] * row_bytes;
  if (bytes == 0) return;  // null has no offsets
  copy_within(context, send + send_layout.first_row[self] * row_bytes,
              recv + recv_layout.first_row[self] * row_bytes, bytes);
}

index_t bytes_before(GroupRank rank, Span<const index_t> rows, index_t row_bytes) {
  return std::accumulate(rows.begin(), rows.begin() + rank.value, index_t{0}) * row_bytes;
}

}  // namespace switchyard::comm::detail
