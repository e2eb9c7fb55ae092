#include "comm/watchdog.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <new>
#include <utility>

#include "base/error.hpp"
#include "base/host_name.hpp"
#include "base/span.hpp"
#include "base/thread.hpp"
#include "comm/launch_check.hpp"

namespace switchyard::comm {
namespace {

// Short against any limit worth setting, long against the cost of looking.
constexpr std::chrono::milliseconds poll_interval{100};
// What one look may add to a wait: a look that comes later than this was late because the process did not run.
constexpr double longest_look_seconds = 1;
// How long a machine on which nobody is missing lets the others speak first.
constexpr double grace_seconds = 2;
// How long a silent rank lives on after another rank of its machine took the voice.
constexpr std::chrono::milliseconds quiet_interval{1500};
constexpr std::chrono::milliseconds interval_of_last_words{500};
constexpr std::chrono::seconds longest_last_words{2};
constexpr std::chrono::seconds longest_give_up{1};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double clock_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::string place(const OperationTag& tag) {
  return fmt::format("operation {}, step {}, phase {}", name(tag.operation), tag.step, tag.phase.view());
}

std::string ranks_text(const std::vector<Board::Slot>& slots) {
  std::string text = slots.size() == 1 ? "rank " : "ranks ";
  constexpr std::size_t named = 8;
  for (std::size_t i = 0; i < std::min(named, slots.size()); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", slots[i].rank.value);
  if (slots.size() > named) text += fmt::format(" and {} more", slots.size() - named);
  return text;
}

bool is_gone(const Board::Slot& slot) {
  return slot.activity.process > 0 &&
         ::access(fmt::format("/proc/{}", slot.activity.process).c_str(), F_OK) != 0;
}

// On a thread of its own, which is left behind if it hangs.
void run_in_time(const std::function<void()>& action, std::chrono::seconds longest) {
  try {
    std::promise<void> done;
    std::future<void> end = done.get_future();
    std::thread([action, done = std::move(done)]() mutable {
      action();
      done.set_value();
    }).detach();
    end.wait_for(longest);
  } catch (const std::exception&) {  // no memory or no thread: the end matters more
  }
}

// Past MPI's end.
bool has_left(const Board::Slot& slot) {
  const bool leaves =
      slot.activity.state == Activity::State::waiting && slot.activity.tag.operation == Operation::leave;
  return leaves || slot.activity.state == Activity::State::left || is_gone(slot);
}

// Why the rank of this slot is missing.
std::string reason(const Board::Slot& slot, bool is_silent) {
  const std::string last = place(slot.activity.tag);
  if (slot.activity.state == Activity::State::left) return "it has come to its end";
  if (is_gone(slot)) return fmt::format("its process is gone; last seen in {}", last);
  if (is_silent)
    return fmt::format("it does not run, for {:.1f} s now; last seen in {}", slot.silent_seconds, last);
  if (slot.activity.state == Activity::State::reading)
    return fmt::format("it waits for files itself, {}", last);
  if (slot.activity.state == Activity::State::device)
    return fmt::format("it waits for work of its own GPU, {}", last);
  return fmt::format("it computes, or is stuck in a call of its own, since {}", last);
}

}  // namespace

void Watchdog::print_and_exit(std::string_view sentence) {
  // write(2) may be interrupted or partial; whatever happens, the process ends.
  while (!sentence.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, sentence.data(), sentence.size());
    if (written <= 0) break;
    sentence.remove_prefix(as_size(written));
  }
  ::_exit(static_cast<int>(ExitCode::timeout));
}

Watchdog::Watchdog(WorldRank rank, double limit_seconds, std::unique_ptr<Board> board, Expired expired)
    : rank_(rank),
      host_(host_name()),
      board_(std::move(board)),
      expired_(std::move(expired)),
      limit_seconds_(limit_seconds) {
  publish(Activity::State::working);  // now, so that a rank that stops at once is known to have come
  thread_ = start_thread("the watchdog's thread", [this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  publish(Activity::State::left);
}

double Watchdog::limit_seconds() const {
  const std::lock_guard lock(mutex_);
  return limit_seconds_;
}

void Watchdog::begin(const OperationTag& tag) {
  const std::lock_guard lock(mutex_);
  tag_ = tag;
  start_ = Clock::now();
  device_waits_for_ranks_ = false;
  if (tag.operation == Operation::read_files) {
    pthread_getcpuclockid(pthread_self(), &waiter_clock_);
    waiter_seconds_ = clock_seconds(waiter_clock_);
  }
  waited_seconds_ = 0;
  waiting_ = true;
  ++waits_;
  publish(waiting_state());
}

void Watchdog::begin_on_device(Operation operation) {
  OperationTag tag;
  {
    const std::lock_guard lock(mutex_);
    tag.step = tag_.step;
    tag.phase = tag_.phase;
  }
  tag.operation = operation;
  begin(tag);
}

void Watchdog::set_device_waits_for_ranks(bool waits) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(device_waits_for_ranks_, waits) != waits) publish(waiting_state());
}

// Where the process is about to end for this wait, nothing else is said of it.
void Watchdog::end() {
  std::unique_lock lock(mutex_);
  dealt_with_.wait(lock, [this] { return !is_expiring_; });
  waiting_ = false;
}

void Watchdog::leave_together() {
  const WatchedWait wait(this, Operation::leave, "end");
  constexpr auto pause = std::chrono::milliseconds(1);
  try {
    while (board_ != nullptr && !std::ranges::all_of(board_->slots(), has_left))
      std::this_thread::sleep_for(pause);
  } catch (const std::bad_alloc&) {  // a destructor is running: better alone than not at all
  }
}

void Watchdog::leave_within(double seconds, int code) {
  const std::lock_guard lock(mutex_);
  leave_after_seconds_ = seconds;
  leave_code_ = code;
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  Clock::time_point last_look = Clock::now();
  while (!stop_) {
    publish(waiting_ ? waiting_state() : Activity::State::working);
    wake_.wait_for(lock, poll_interval, [this] { return stop_; });
    const double look_seconds = std::min(seconds_since(last_look), longest_look_seconds);
    last_look = Clock::now();
    if (stop_) break;
    if (leave_after_seconds_ >= 0 && (leave_after_seconds_ -= look_seconds) < 0) ::_exit(leave_code_);
    if (!waiting_) continue;
    waited_seconds_ = std::min(waited_seconds_ + counted_seconds(look_seconds), seconds_since(start_));
    check(lock);
  }
}

bool Watchdog::waits_for_ranks() const {
  if (tag_.operation == Operation::device) return device_waits_for_ranks_;
  return tag_.operation != Operation::read_files;
}

Activity::State Watchdog::waiting_state() const {
  if (waits_for_ranks()) return Activity::State::waiting;
  return tag_.operation == Operation::device ? Activity::State::device : Activity::State::reading;
}

void Watchdog::publish(Activity::State state) const {
  if (board_ != nullptr) board_->publish({state, ::getpid(), group_, tag_, waited_seconds_});
}

// A thread that computes while it reads does not wait.
double Watchdog::counted_seconds(double look_seconds) {
  if (tag_.operation != Operation::read_files) return look_seconds;
  const double computed = std::exchange(waiter_seconds_, clock_seconds(waiter_clock_));
  return waiter_seconds_ > computed ? 0 : look_seconds;
}

std::vector<Board::Slot> Watchdog::missing_ranks() const {
  std::vector<Board::Slot> missing;
  if (board_ == nullptr) return missing;
  const bool is_last = tag_.operation == Operation::leave;  // all groups meet there
  for (const Board::Slot& slot : board_->slots()) {
    if (!is_last && slot.activity.group != group_) continue;
    const bool waits_like_us = slot.activity.state == Activity::State::waiting;
    const bool is_missing =
        is_last ? !has_left(slot) : !waits_like_us || slot.silent_seconds > silence_seconds();
    if (is_missing) missing.push_back(slot);
  }
  return missing;
}

// A rank that waits for files, or for its GPU, and gets on with it: it has a limit of its own.
bool Watchdog::goes_on(const Board::Slot& slot) const {
  const bool has_own_limit =
      slot.activity.state == Activity::State::reading || slot.activity.state == Activity::State::device;
  return has_own_limit && slot.silent_seconds <= silence_seconds() &&
         slot.activity.waited_seconds < limit_seconds_ / 2;
}

double Watchdog::silence_seconds() const { return std::clamp(limit_seconds_ / 2, 1.0, 5.0); }

void Watchdog::check(std::unique_lock<std::mutex>& lock) {
  if (limit_seconds_ <= 0 || waited_seconds_ <= limit_seconds_ || reported_wait_ == waits_) return;
  const std::vector<Board::Slot> missing = waits_for_ranks() ? missing_ranks() : std::vector<Board::Slot>();
  if (!missing.empty() && std::ranges::all_of(missing, [&](const Board::Slot& slot) { return goes_on(slot); }))
    return;
  const bool others_may_know = board_ != nullptr && waits_for_ranks() && missing.empty();
  if (others_may_know && waited_seconds_ <= limit_seconds_ + grace_seconds) return;
  reported_wait_ = waits_;
  is_expiring_ = true;
  const bool speaks = board_ == nullptr || board_->claim_voice();
  std::string said, line;
  std::function<void()> last_words, give_up;
  try {
    said = sentence(missing);
    line = fmt::format("switchyard: {}\n", said);
    if (last_words_) last_words = [words = last_words_, said] { words(said); };
    give_up = give_up_;
  } catch (const std::bad_alloc&) {
    line = "switchyard: waited too long, and has no memory to say for whom\n";
  }
  lock.unlock();
  if (last_words) {
    run_in_time(last_words, longest_last_words);
  } else if (speaks && board_ != nullptr) {
    // Once one rank has ended, the launcher ends the others.
    std::this_thread::sleep_for(interval_of_last_words);
  }
  if (!speaks) std::this_thread::sleep_for(quiet_interval);
  if (speaks && give_up) run_in_time(give_up, longest_give_up);
  expired_(speaks ? std::string_view(line) : std::string_view());
  lock.lock();
  is_expiring_ = false;
  dealt_with_.notify_all();
}

std::string Watchdog::not_seen() const {
  const std::optional<Launch> launch = find_launch();
  if (board_ == nullptr || !launch) return "";
  Vector<Board::Slot> absent(launch->processes);
  for (std::size_t r = 0; r < absent.size(); ++r) absent[r].rank = WorldRank(r);
  for (const Board::Slot& seen : board_->slots())
    std::erase_if(absent, [&](const Board::Slot& slot) { return slot.rank == seen.rank; });
  return absent.empty() ? "" : fmt::format(" {} not seen on {};", ranks_text(absent), host_);
}

std::string Watchdog::sentence(const std::vector<Board::Slot>& missing) const {
  const std::string waited =
      fmt::format("rank {} on {} has waited {:.1f} s", rank_.value, host_, waited_seconds_);
  const std::string where = fmt::format("{}; the limit is {:.3g} s", place(tag_), limit_seconds_);
  if (tag_.operation == Operation::device && !waits_for_ranks()) {
    return fmt::format(
        "{} for work of its own GPU ({}); look with nvidia-smi whether the GPU computes and for whom, start one "
        "rank for each GPU, or raise run.wait_seconds",
        waited, where);
  }
  if (tag_.operation == Operation::read_files) {
    return fmt::format(
        "{} for files ({}); look whether the file system answers and the name is that of a regular "
        "file, or raise run.wait_seconds",
        waited, where);
  }
  if (!missing.empty()) {
    const Board::Slot& first = missing.front();
    return fmt::format(
        "{} on {} {} missing (rank {}: {}); {} for the other ranks ({}); look there for a process "
        "that stopped or is slower than the rest, or raise run.wait_seconds",
        ranks_text(missing), host_, missing.size() == 1 ? "is" : "are", first.rank.value,
        reason(first, first.silent_seconds > silence_seconds()), waited, where);
  }
  if (tag_.operation == Operation::start) {
    return fmt::format(
        "{} for MPI to start ({});{} see that each rank starts and that all hosts reach each "
        "other: a network interface that each host has with the same address (docker0) must be left out, with "
        "mpirun --mca btl_tcp_if_include NETWORK --mca oob_tcp_if_include NETWORK",
        waited, where, not_seen());
  }
  const std::string there =
      other_hosts_.empty()
          ? std::string("nobody on this machine is missing")
          : fmt::format("nobody on {} is missing: look at {} and the network", host_, other_hosts_);
  return fmt::format(
      "{} for the other ranks ({}); {}; look for a rank that stopped or is slower than the rest, "
      "or raise run.wait_seconds",
      waited, where, there);
}

}  // namespace switchyard::comm
