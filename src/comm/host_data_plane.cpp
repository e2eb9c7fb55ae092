#include "comm/host_data_plane.hpp"

namespace switchyard::comm {

void HostDataPlane::do_all_to_all_rows(device::Context& /*context*/, const std::byte* send,
                                       RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                                       index_t row_bytes, const device::Event* /*ready*/) {
  communicator_.all_to_all_rows(send, send_layout, recv, recv_layout, row_bytes);
}

void HostDataPlane::do_all_gather_rows(device::Context& /*context*/, Span<const std::byte> mine,
                                       Span<std::byte> all, Span<const index_t> rows, index_t row_bytes) {
  communicator_.all_gather_rows<std::byte>(mine, all, rows, row_bytes);
}

void HostDataPlane::do_all_reduce_sum(device::Context& /*context*/, Span<std::int64_t> values) {
  communicator_.all_reduce_sum(values);
}

}  // namespace switchyard::comm
