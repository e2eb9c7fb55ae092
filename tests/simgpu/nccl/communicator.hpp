// A rank's side of a communicator: its calls become work of the simulated device.
#pragma once

#include <nccl.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "simgpu/device.hpp"
#include "simgpu/nccl/transfer.hpp"

namespace simgpu::nccl {

// What ncclGetVersion answers.
int library_version();

// A call between ncclGroupStart and ncclGroupEnd, or alone.
struct Call {
  enum class Kind { send, receive, all_reduce };
  Kind kind;
  int peer = -1;
  std::byte* from = nullptr;  // readable
  std::byte* to = nullptr;
  std::int64_t bytes = 0;
  Stream stream = nullptr;
};

class Communicator : public std::enable_shared_from_this<Communicator> {
 public:
  Communicator(std::shared_ptr<Page> page, std::string name, int ranks, int rank, bool blocks);

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  bool blocks() const { return blocks_; }
  // Why no call may come now; empty: it may.
  std::string why_busy() const;

  // Until all ranks have come; the last one looks whether they may be together. False: not yet.
  bool has_joined();
  // What the device works off together. Not at once where the communicator does not block: when it is asked for
  // its state, and not the first time.
  void submit(std::vector<Call> calls);
  // Of the communicator: of this rank's calls, and of what has happened since.
  ncclResult_t state();
  std::string failure() const { return failure_of(*page_); }
  void fail(ncclResult_t code, const std::string& sentence) { nccl::fail(*page_, code, sentence); }

  bool has_work() const { return works_under_way_ > 0; }
  void leave(Member::State how);

 private:
  // One submission, while the device works at it.
  struct Work {
    std::vector<Transfer> transfers;
    // all_reduce: what has come from each rank, and where the sum goes.
    std::vector<std::vector<std::int64_t>> received;
    std::byte* sum_to = nullptr;
  };
  void enqueue(const std::vector<Call>& calls);
  std::unique_ptr<Work> make_work(const std::vector<Call>& calls);
  void add_reduction(Work& work, const Call& call);
  bool advance(Work& work);
  static void add_up(const Work& work);
  // That a peer whom this rank waits for has gone.
  void look_for(const Transfer& transfer);
  void look_for_dead_ranks();
  Member& member(int rank) { return page_->members[static_cast<std::size_t>(rank)]; }

  std::shared_ptr<Page> page_;
  std::string name_;
  int rank_, ranks_;
  bool blocks_;
  bool is_complete_ = false;  // all ranks have come
  std::atomic<bool> has_left_ = false;
  std::atomic<int> works_under_way_ = 0;
  std::array<std::int64_t, most_ranks> sent_{}, received_{};  // messages, by peer
  std::vector<Call> pending_;
  int asked_ = 0;  // for its state, since the last submission
  std::atomic<std::int64_t> looked_ms_ = 0;
};

}  // namespace simgpu::nccl
