#include "comm/threads/thread_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/contract.hpp"
#include "base/thread.hpp"
#include "comm/detail/copy_block.hpp"
#include "comm/threads/rendezvous.hpp"
#include "device/single_threaded_libraries.hpp"

namespace switchyard::comm {

GroupAborted::GroupAborted(ExitCode code)
    : MpiError(fmt::format("a rank ended the group (abort with exit code {}); its own message says why",
                           static_cast<int>(code))),
      code_(code) {}

namespace {

using detail::copy_block;
using threads::Posting;

// One rank's communicator in a group of threads. Every collective is the same three steps: post what one has,
// copy from the others' postings once all are there, and go on once all have copied.
class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<threads::Rendezvous> place, GroupRank rank)
      : place_(std::move(place)), rank_(rank) {}

  GroupRank rank() const override { return rank_; }
  int size() const override { return place_->size(); }
  // Ends all ranks of run_ranks() by an exception (GroupAborted) in each.
  [[noreturn]] void abort(ExitCode code) override {
    place_->world().fail(std::make_exception_ptr(GroupAborted(code)));
    throw GroupAborted(code);
  }

 private:
  // Posts, meets, checks that all are in the same collective, runs `copy`, parts.
  template <class Copy>
  void meet(Posting mine, const Copy& copy) {
    mine.tag = tag_;
    place_->posting(rank_) = std::move(mine);
    place_->arrive();
    // From here on all ranks reach depart(): a failure is kept until then.
    std::exception_ptr failure;
    try {
      for (int r = 1; r < size(); ++r) require_same_operation(posting(0).tag, GroupRank(r), posting(r).tag);
      copy();
    } catch (...) {
      failure = std::current_exception();
    }
    place_->depart();
    if (failure) std::rethrow_exception(failure);
  }
  const Posting& posting(int rank) const { return place_->posting(GroupRank(rank)); }

  void announce(const OperationTag& tag) override { tag_ = tag; }

  void do_barrier() override {
    meet({}, [] {});
  }

  void do_broadcast(Span<std::byte> data, GroupRank root) override {
    meet({.data = data}, [&] { copy_block(posting(root.value).data.data(), data.data(), std::ssize(data)); });
  }

  void do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                     index_t row_bytes) override {
    meet({.data = mine}, [&] {
      std::byte* to = all.data();
      for (int r = 0; r < size(); ++r) {
        const index_t block_bytes = rows[r] * row_bytes;
        SY_EXPECTS(std::ssize(posting(r).data) == block_bytes, "rank {} gives {} bytes, rank {} expects {}", r,
                   posting(r).data.size(), rank_.value, block_bytes);
        copy_block(posting(r).data.data(), to, block_bytes);
        to += block_bytes;
      }
    });
  }

  void do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) override {
    meet({.data = send}, [&] {
      for (int r = 0; r < size(); ++r) {
        copy_block(posting(r).data.data() + rank_.value * block_bytes, recv.data() + r * block_bytes,
                   block_bytes);
      }
    });
  }

  void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                          index_t row_bytes) override {
    // Only the start of `data` is used: where it ends, the layout says.
    meet({.data = {send, std::size_t{0}}, .layout = send_layout}, [&] {
      for (int r = 0; r < size(); ++r) {
        const RowLayout& sent = posting(r).layout;
        SY_EXPECTS(sent.rows[rank_] == recv_layout.rows[r],
                   "rank {} sends {} rows to rank {}, which expects {}", r, sent.rows[rank_], rank_.value,
                   recv_layout.rows[r]);
        if (sent.rows[rank_] == 0) continue;
        copy_block(posting(r).data.data() + sent.first_row[rank_] * row_bytes,
                   recv + recv_layout.first_row[r] * row_bytes, sent.rows[rank_] * row_bytes);
      }
    });
  }

  void do_all_reduce(Span<std::int64_t> values, Operation sum_or_max) override {
    const auto combine = [&](std::int64_t a, std::int64_t b) {
      return sum_or_max == Operation::all_reduce_sum ? a + b : std::max(a, b);
    };
    meet({.values = values}, [&] {
      reduced_.assign(posting(0).values.begin(), posting(0).values.end());
      for (int r = 1; r < size(); ++r) {
        std::transform(reduced_.begin(), reduced_.end(), posting(r).values.begin(), reduced_.begin(), combine);
      }
    });
    std::copy(reduced_.begin(), reduced_.end(), values.begin());  // now that nobody reads them any more
  }

  void do_send(Span<const std::byte> data, GroupRank to) override { place_->send(data, rank_, to); }
  void do_receive(Span<std::byte> data, GroupRank from) override { place_->receive(data, from, rank_); }

  std::unique_ptr<Communicator> do_split(int colour) override {
    std::vector<int> members;
    meet({.colour = colour}, [&] {
      for (int r = 0; r < size(); ++r) {
        if (posting(r).colour == colour) members.push_back(r);
      }
    });
    std::shared_ptr<threads::Rendezvous> subgroup;
    if (members.front() == rank_.value) {
      subgroup =
          std::make_shared<threads::Rendezvous>(place_->shared_world(), static_cast<int>(members.size()));
    }
    meet({.subgroup = subgroup}, [&] { subgroup = posting(members.front()).subgroup; });
    const auto position = std::find(members.begin(), members.end(), rank_.value) - members.begin();
    return std::make_unique<ThreadCommunicator>(subgroup, GroupRank(position));
  }

  std::shared_ptr<threads::Rendezvous> place_;
  GroupRank rank_;
  OperationTag tag_;
  std::vector<std::int64_t> reduced_;
};

void run_rank(const std::shared_ptr<threads::Rendezvous>& everybody, GroupRank rank,
              const std::function<void(Communicator&)>& body) {
  flush_denormals_to_zero();
  device::use_libraries_single_threaded();
  try {
    ThreadCommunicator communicator(everybody, rank);
    body(communicator);
  } catch (...) {
    everybody->world().fail(std::current_exception());
  }
  everybody->world().leave();
}

}  // namespace

void run_ranks(int ranks, const std::function<void(Communicator&)>& body) {
  SY_EXPECTS(ranks >= 1, "{} ranks", ranks);
  const auto world = std::make_shared<threads::ThreadWorld>(ranks);
  const auto everybody = std::make_shared<threads::Rendezvous>(world, ranks);
  {
    std::vector<std::jthread> threads;
    try {
      for (int r = 0; r < ranks; ++r) threads.emplace_back([&, r] { run_rank(everybody, GroupRank(r), body); });
    } catch (...) {
      world->fail(std::current_exception());  // no thread could be made: those that run must not wait for it
    }
  }
  world->rethrow_failure();
}

}  // namespace switchyard::comm
