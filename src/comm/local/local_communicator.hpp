// The group of one rank.
#pragma once

#include "comm/communicator.hpp"

#include "base/span.hpp"

namespace switchyard::comm {

// What a run without a launcher uses: the same program as with many ranks, no MPI.
class LocalCommunicator final : public Communicator {
 public:
  GroupRank rank() const override { return GroupRank(0); }
  int size() const override { return 1; }
  [[noreturn]] void abort(ExitCode code) override;

 private:
  void announce(const OperationTag&) override {}
  void do_barrier() override {}
  void do_broadcast(Span<std::byte>, GroupRank) override {}
  void do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                     index_t row_bytes) override;
  void do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) override;
  void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                          index_t row_bytes) override;
  void do_all_reduce(Span<std::int64_t>, Operation) override {}
  void do_send(Span<const std::byte> data, GroupRank to) override;
  void do_receive(Span<std::byte> data, GroupRank from) override;
  std::unique_ptr<Communicator> do_split(int colour) override;
};

}  // namespace switchyard::comm
