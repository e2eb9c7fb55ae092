#include "comm/local/local_communicator.hpp"

#include <cstdlib>

#include "base/contract.hpp"
#include "comm/detail/copy_block.hpp"

namespace switchyard::comm {

void LocalCommunicator::abort(ExitCode code) { std::_Exit(static_cast<int>(code)); }

void LocalCommunicator::do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t>,
                                      index_t) {
  detail::copy_block(mine.data(), all.data(), std::ssize(mine));
}

void LocalCommunicator::do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) {
  detail::copy_block(send.data(), recv.data(), block_bytes);
}

void LocalCommunicator::do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv,
                                           RowLayout recv_layout, index_t row_bytes) {
  if (send_layout.rows[0] == 0) return;
  detail::copy_block(send + send_layout.first_row[0] * row_bytes, recv + recv_layout.first_row[0] * row_bytes,
                     send_layout.rows[0] * row_bytes);
}

// A rank never sends to itself (communicator.cpp), and there is no other.
void LocalCommunicator::do_send(Span<const std::byte>, GroupRank to) {
  SY_EXPECTS(false, "a group of one rank sends to rank {}", to.value);
}
void LocalCommunicator::do_receive(Span<std::byte>, GroupRank from) {
  SY_EXPECTS(false, "a group of one rank receives from rank {}", from.value);
}

std::unique_ptr<Communicator> LocalCommunicator::do_split(int) { return std::make_unique<LocalCommunicator>(); }

}  // namespace switchyard::comm
