// Where the threads of a group meet: what run_ranks() and its communicators share.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "base/span.hpp"
#include "comm/communicator.hpp"

namespace switchyard::comm::threads {

// All ranks of one run_ranks(), in whatever groups they are: one lock, one condition, one fate. One lock is
// enough for tests, and lets a failure wake everybody wherever they wait.
class ThreadWorld {
 public:
  explicit ThreadWorld(int ranks) : running_(ranks) {}

  // The first failure ends the world and wakes all who wait. A later one is a consequence and is dropped.
  void fail(std::exception_ptr cause);
  // A rank is done with its body.
  void leave();
  // After all ranks have ended.
  void rethrow_failure();

 private:
  friend class Rendezvous;

  // With the lock held: a rank begins to wait, or is known to go on because what it waited for has come. When
  // all that run wait, nothing can come any more: the world ends.
  void blocks();
  void unblock(int ranks) { blocked_ -= ranks; }
  void end_if_deadlocked();
  void fail_locked(std::exception_ptr cause);

  std::mutex mutex_;  // guards all below and all state of every Rendezvous but the postings
  std::condition_variable changed_;
  int running_;
  int blocked_ = 0;
  bool ended_ = false;
  std::exception_ptr cause_;
};

class Rendezvous;

// What one rank brings to a collective. Written by its rank before arrive(), read by the others between
// arrive() and depart().
struct Posting {
  OperationTag tag = {};
  Span<const std::byte> data = {};
  RowLayout layout = {};                      // all_to_all_rows: how `data` is cut
  Span<const std::int64_t> values = {};       // all_reduce
  int colour = 0;                             // split
  std::shared_ptr<Rendezvous> subgroup = {};  // split: made by the lowest rank of a colour
};

// One group.
class Rendezvous {
 public:
  Rendezvous(std::shared_ptr<ThreadWorld> world, int size);

  ThreadWorld& world() { return *world_; }
  const std::shared_ptr<ThreadWorld>& shared_world() const { return world_; }
  int size() const { return size_; }

  Posting& posting(GroupRank rank) { return postings_[rank]; }

  // Returns when all ranks of the group have arrived; throws MpiError if the world ends first. Either all
  // ranks get past one meeting or none does.
  void arrive();
  // Returns when all ranks of the group are done with the postings. Not ended by a failure elsewhere: nobody
  // may unwind its buffers while others still copy from them, and copying ends by itself.
  void depart();

  // Returns when the receiver has copied the message.
  void send(Span<const std::byte> data, GroupRank from, GroupRank to);
  void receive(Span<std::byte> data, GroupRank from, GroupRank to);

 private:
  struct Mailbox {
    Span<const std::byte> message;
    bool full = false;
    bool receiver_waits = false;
  };

  // True when the meeting took place, false if the world ended before.
  bool meet(std::unique_lock<std::mutex>& lock, bool stop_when_ended);
  Mailbox& mailbox(GroupRank from, GroupRank to);

  const std::shared_ptr<ThreadWorld> world_;
  const int size_;
  Vector<Posting> postings_;
  Vector<Mailbox> mailboxes_;  // of (from, to), at from * size + to
  int arrived_ = 0;
  std::uint64_t meetings_ = 0;
};

}  // namespace switchyard::comm::threads
