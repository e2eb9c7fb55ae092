#include "comm/watchdog.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/error.hpp"

namespace switchyard::comm {
namespace {

// Short against any limit worth setting, long against the cost of looking.
constexpr std::chrono::milliseconds poll_interval{100};

}  // namespace

void Watchdog::print_and_exit(std::string_view sentence) {
  // write(2) may be interrupted or partial; whatever happens, the process ends.
  while (!sentence.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, sentence.data(), sentence.size());
    if (written <= 0) break;
    sentence.remove_prefix(static_cast<std::size_t>(written));
  }
  ::_exit(static_cast<int>(ExitCode::timeout));
}

Watchdog::Watchdog(WorldRank rank, double limit_seconds, Expired expired)
    : rank_(rank), expired_(std::move(expired)), limit_seconds_(limit_seconds), thread_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

double Watchdog::limit_seconds() const {
  const std::lock_guard lock(mutex_);
  return limit_seconds_;
}

void Watchdog::set_limit_seconds(double limit_seconds) {
  const std::lock_guard lock(mutex_);
  limit_seconds_ = limit_seconds;
}

void Watchdog::begin(const OperationTag& tag) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    tag_ = tag;
    start_ = Clock::now();
    waiting_ = true;
    ++waits_;
    wake = std::exchange(asleep_, false);
  }
  if (wake) wake_.notify_one();
}

void Watchdog::end() {
  const std::lock_guard lock(mutex_);
  waiting_ = false;
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  std::uint64_t waits_seen = 0;
  while (!stop_) {
    if (!waiting_ && waits_ == waits_seen) {
      asleep_ = true;
      wake_.wait(lock, [this] { return !asleep_ || stop_; });
    } else {
      waits_seen = waits_;
      wake_.wait_for(lock, poll_interval, [this] { return stop_; });
    }
    if (!stop_ && waiting_) check(lock);
  }
}

void Watchdog::check(std::unique_lock<std::mutex>& lock) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (limit_seconds_ <= 0 || seconds <= limit_seconds_ || reported_wait_ == waits_) return;
  reported_wait_ = waits_;
  // On the stack: the rank may be stuck inside the allocator.
  std::array<char, 512> sentence;
  const auto written = fmt::format_to_n(
      sentence.data(), sentence.size(),
      "switchyard: rank {} has waited {:.1f} s for the other ranks (operation {}, step {}, phase {}; the limit "
      "is {:g} "
      "s); look for a rank that stopped or is slower than the rest, or raise run.wait_seconds\n",
      rank_.value, seconds, name(tag_.operation), tag_.step, tag_.phase.view(), limit_seconds_);
  const std::size_t length = std::min(written.size, sentence.size());
  lock.unlock();
  expired_({sentence.data(), length});
  lock.lock();
}

}  // namespace switchyard::comm
