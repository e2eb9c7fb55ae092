// Where the time of a step goes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace switchyard {

enum class Phase { data, attention, feed_forward, gate, exchange, experts, combine, reduction, update, other };
inline constexpr std::size_t phase_count = 10;

constexpr std::string_view name(Phase phase) {
  constexpr std::array<std::string_view, phase_count> names = {
      "data",    "attention", "feed_forward", "gate",   "exchange",
      "experts", "combine",   "reduction",    "update", "other"};
  return names[static_cast<std::size_t>(phase)];
}

// One phase follows the other without a gap, so the phases' times add up to the whole. Local to a rank: waiting
// for others counts for the phase that waits.
class PhaseClock {
 public:
  using Seconds = std::array<double, phase_count>;

  // From now on time counts for `phase`.
  void enter(Phase phase) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[static_cast<std::size_t>(current_)] += std::chrono::duration<double>(now - since_).count();
    current_ = phase;
    since_ = now;
  }
  // Ends the current phase, hands out what was counted since the last call, and counts on as `other`.
  Seconds take() {
    enter(Phase::other);
    const Seconds taken = seconds_;
    seconds_ = {};
    return taken;
  }

 private:
  Seconds seconds_{};
  Phase current_ = Phase::other;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace switchyard
