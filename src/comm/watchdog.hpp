// Ends a rank that waits too long.
#pragma once

#include <time.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/ids.hpp"
#include "comm/board.hpp"
#include "comm/operation.hpp"

namespace switchyard::comm {

// Until the configuration is known: MPI's start on many nodes, and programs on a slow file system.
inline constexpr double start_limit_seconds = 120;

// Watches the waits of one rank from a thread of its own that makes no MPI call, from the first lines of main
// until MPI has ended. If one lasts longer than the limit, one rank of the machine says in one sentence who is
// missing, and the process ends; the launcher then ends the other ranks. Destroyed after every communicator
// that uses it.
//
// What a rank does is left on the board of its machine, at the start of each wait and ten times a second.
// Missing is a rank that never came, does not run (its watchdog is silent), has ended, computes, or waits for
// files or for work of its own GPU. If nobody of this machine is missing, the machine with the missing rank is
// given two seconds to speak first.
//
// Time in which this process did not run, such as that of a suspended job, is no wait; nor is time in which a
// thread that reads files computes, so that data of any size may be read and decoded.
//
// begin() and end() are called by the rank's one communicating thread. They allocate nothing and cost two
// uncontended locks and a few stores.
class Watchdog {
 public:
  // What happens when a wait is too long. Gets the whole sentence, newline included, or nothing if another rank
  // of this machine speaks; called on the watching thread.
  using Expired = std::function<void(std::string_view sentence)>;
  // Writes to file descriptor 2 and leaves with ExitCode::timeout at once: no handler or destructor runs, since
  // the rank's main thread is stuck inside a library.
  static void print_and_exit(std::string_view sentence);

  // limit_seconds <= 0: no limit. Without a board nobody is named.
  Watchdog(WorldRank rank, double limit_seconds, std::unique_ptr<Board> board = nullptr,
           Expired expired = print_and_exit);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // For the wait under way, too. The runtime calls it at the start of a phase whose waits are of another
  // length, such as saving.
  void set_limit_seconds(double limit_seconds) { set(limit_seconds_, limit_seconds); }
  double limit_seconds() const;
  // The other machines of the run, for the sentence: "node2, node3". Known once the ranks know each other.
  void set_other_hosts(std::string other_hosts) { set(other_hosts_, std::move(other_hosts)); }
  // For a program whose ranks fall into groups that do not wait for each other: only ranks of the same number
  // are missed.
  void set_group(int group) { set(group_, group); }

  // What this process does with the sentence, without the program's name and a newline, before it ends, such as
  // noting it in a file; it gets two seconds, since the file system may be what hangs. Empty: nothing.
  using LastWords = std::function<void(std::string_view sentence)>;
  void set_last_words(LastWords words) { set(last_words_, std::move(words)); }

  // What lets go of the operations of a device that wait for other ranks, so that the device can be left; it
  // gets a second before the process ends.
  void set_give_up(std::function<void()> give_up) { set(give_up_, std::move(give_up)); }

  void begin(const OperationTag& tag);
  // A wait for this rank's GPU, or for what it makes of `operation`, in the step and phase of the wait before.
  void begin_on_device(Operation operation);
  // Whether what the GPU has come to is an operation that needs the other ranks. It is work of its own until
  // this says otherwise.
  void set_device_waits_for_ranks(bool waits);
  // Returns only once the end of a wait that was too long has been dealt with.
  void end();
  // Waits until every rank of this machine has called it, or is gone: after MPI, which lets a rank go before
  // the others are through. Who stops on this last stretch is missed like anywhere else.
  void leave_together();
  // After this long the process leaves with `code`, silently, whatever it is doing: for an end that may itself
  // hang.
  void leave_within(double seconds, int code);

 private:
  using Clock = std::chrono::steady_clock;

  template <class T>
  void set(T& member, T value) {
    const std::lock_guard lock(mutex_);
    member = std::move(value);
  }
  void watch();
  bool waits_for_ranks() const;
  Activity::State waiting_state() const;
  void publish(Activity::State state) const;
  double counted_seconds(double look_seconds);
  void check(std::unique_lock<std::mutex>& lock);
  std::vector<Board::Slot> missing_ranks() const;
  bool goes_on(const Board::Slot& slot) const;
  double silence_seconds() const;  // of a rank that does not run
  // Before MPI is up: ranks of the launch that never came to this machine's board, those of other hosts among
  // them.
  std::string not_seen() const;
  std::string sentence(const std::vector<Board::Slot>& missing) const;

  const WorldRank rank_;
  const std::string host_;
  const std::unique_ptr<Board> board_;  // may be null
  const Expired expired_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::condition_variable dealt_with_;  // a wait that was too long
  double limit_seconds_;
  std::string other_hosts_;
  int group_ = 0;
  bool waiting_ = false;
  bool device_waits_for_ranks_ = false;
  bool is_expiring_ = false;
  OperationTag tag_;
  Clock::time_point start_;          // of the wait
  clockid_t waiter_clock_ = -1;      // what the waiting thread computes
  double waiter_seconds_ = 0;        // of it, when last looked at
  double waited_seconds_ = 0;        // of which this process was running
  std::uint64_t waits_ = 0;          // waits begun so far
  std::uint64_t reported_wait_ = 0;  // the last one that was too long: each is reported once
  LastWords last_words_;
  std::function<void()> give_up_;
  double leave_after_seconds_ = -1;  // below 0: never
  int leave_code_ = 0;
  bool stop_ = false;

  std::thread thread_;  // starts when all else is there
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
  // For `what` ("configuration", at most 23 characters) to come from, or MPI to begin or end.
  WatchedWait(Watchdog* watchdog, Operation operation, std::string_view what)
      : WatchedWait(watchdog, OperationTag{.operation = operation, .phase = PhaseName(what)}) {}
  // For this rank's GPU, or for what it makes of `operation`.
  struct OnDevice {
    Operation operation;
  };
  WatchedWait(Watchdog* watchdog, OnDevice what) : watchdog_(watchdog) {
    if (watchdog_ != nullptr) watchdog_->begin_on_device(what.operation);
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
