// Ends a rank that waits too long for the others.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

#include "base/ids.hpp"
#include "comm/operation.hpp"

namespace switchyard::comm {

// Watches the operations of one rank from a thread of its own that makes no MPI call. If one lasts longer than
// the limit, it says so in one sentence and ends the process; the launcher then ends the other ranks. One per
// rank, made by the runtime before any communicator that uses it and destroyed after them.
//
// begin() and end() are called by the rank's one communicating thread. They allocate nothing and cost two
// uncontended locks; only the first wait after a quiet spell has to wake the watching thread.
class Watchdog {
 public:
  // What happens when a wait is too long. Gets the whole sentence, newline included; called on the watching
  // thread.
  using Expired = std::function<void(std::string_view sentence)>;
  // Writes to file descriptor 2 and leaves with ExitCode::timeout at once: no handler or destructor runs, since
  // the rank's main thread is stuck inside a library.
  static void print_and_exit(std::string_view sentence);

  // limit_seconds <= 0: no limit.
  Watchdog(WorldRank rank, double limit_seconds, Expired expired = print_and_exit);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // For the wait under way, too. The runtime calls it at the start of a phase whose waits are of another
  // length, such as saving.
  void set_limit_seconds(double limit_seconds);
  double limit_seconds() const;

  void begin(const OperationTag& tag);
  void end();

 private:
  using Clock = std::chrono::steady_clock;

  void watch();
  void check(std::unique_lock<std::mutex>& lock);

  const WorldRank rank_;
  const Expired expired_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  double limit_seconds_;
  bool waiting_ = false;
  OperationTag tag_;
  Clock::time_point start_;
  std::uint64_t waits_ = 0;          // waits begun so far
  std::uint64_t reported_wait_ = 0;  // the last one that was too long: each is reported once
  bool asleep_ = false;              // the watching thread sleeps until the next begin()
  bool stop_ = false;

  std::thread thread_;  // last: starts when all else is there
};

// Longer waits from construction to destruction: for what takes its time in proportion to bytes, such as
// saving.
class LongerWaits {
 public:
  LongerWaits(Watchdog* watchdog, double extra_seconds) : watchdog_(watchdog) {
    if (watchdog_ == nullptr) return;
    limit_seconds_ = watchdog_->limit_seconds();
    if (limit_seconds_ > 0) watchdog_->set_limit_seconds(limit_seconds_ + extra_seconds);
  }
  ~LongerWaits() {
    if (watchdog_ != nullptr) watchdog_->set_limit_seconds(limit_seconds_);
  }
  LongerWaits(const LongerWaits&) = delete;
  LongerWaits& operator=(const LongerWaits&) = delete;

 private:
  Watchdog* watchdog_;
  double limit_seconds_ = 0;
};

// A wait that the watchdog, if there is one, watches from construction to destruction.
class WatchedWait {
 public:
  WatchedWait(Watchdog* watchdog, const OperationTag& tag) : watchdog_(watchdog) {
    if (watchdog_ != nullptr) watchdog_->begin(tag);
  }
  ~WatchedWait() {
    if (watchdog_ != nullptr) watchdog_->end();
  }
  WatchedWait(const WatchedWait&) = delete;
  WatchedWait& operator=(const WatchedWait&) = delete;

 private:
  Watchdog* watchdog_;
};

}  // namespace switchyard::comm
