// One rank's communicator in a group of threads.
#pragma once

#include <memory>
#include <vector>

#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "comm/threads/rendezvous.hpp"

namespace switchyard::comm {

// Every collective is the same three steps: post what one has, copy from the others' postings once all are
// there, and go on once all have copied.
class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<threads::Rendezvous> place, GroupRank rank);

  GroupRank rank() const override { return rank_; }
  int size() const override { return place_->size(); }
  // Ends all ranks of run_ranks() by an exception (GroupAborted) in each.
  [[noreturn]] void abort(ExitCode code) override;

 private:
  void announce(const OperationTag& tag) override { tag_ = tag; }
  void do_barrier() override;
  void do_broadcast(Span<std::byte> data, GroupRank root) override;
  void do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                     index_t row_bytes) override;
  void do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) override;
  void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                          index_t row_bytes) override;
  void do_all_reduce(Span<std::int64_t> values, Operation sum_or_max) override;
  void do_send(Span<const std::byte> data, GroupRank to) override;
  void do_receive(Span<std::byte> data, GroupRank from) override;
  std::unique_ptr<Communicator> do_split(int color) override;

  // Posts, meets, checks that all are in the same collective, runs `copy`, parts.
  template <class Copy>
  void meet(threads::Posting posting, const Copy& copy);
  const threads::Posting& posting(int rank) const { return place_->posting(GroupRank(rank)); }

  std::shared_ptr<threads::Rendezvous> place_;
  GroupRank rank_;
  OperationTag tag_;
  std::vector<std::int64_t> reduced_;
};

}  // namespace switchyard::comm
