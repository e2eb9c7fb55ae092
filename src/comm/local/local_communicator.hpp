// The group of one rank.
#pragma once

#include "comm/communicator.hpp"

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
  void do_broadcast(std::span<std::byte>, GroupRank) override {}
  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::span<const index_t> rows,
                     index_t row_bytes) override;
  void do_all_to_all(std::span<const std::byte> send, std::span<std::byte> recv, index_t block_bytes) override;
  void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                          index_t row_bytes) override;
  void do_all_reduce_sum(std::span<std::int64_t>) override {}
  void do_all_reduce_max(std::span<std::int64_t>) override {}
  void do_send(std::span<const std::byte> data, GroupRank to) override;
  void do_receive(std::span<std::byte> data, GroupRank from) override;
  std::unique_ptr<Communicator> do_split(int color) override;
};

}  // namespace switchyard::comm
