// Where the time of a step goes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "base/phase.hpp"
#include "base/timeline.hpp"

namespace switchyard {

// One phase follows the other without a gap, so the phases' times add up to the whole. Local to a rank: waiting
// for others counts for the phase that waits.
class PhaseClock {
 public:
  using Seconds = std::array<double, phase_count>;

  // Counts anew, as `other`. From now on phases that end are told to `timeline`, which may be null.
  void restart(Timeline* timeline = nullptr) {
    seconds_ = {};
    current_ = Phase::other;
    timeline_ = timeline;
    since_ = std::chrono::steady_clock::now();
  }
  // Told of each phase that begins from now on, for a profiler.
  using Mark = void (*)(Phase);
  void set_mark(Mark mark) { mark_ = mark; }
  // From now on time counts for `phase`.
  void enter(Phase phase) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[static_cast<std::size_t>(current_)] += std::chrono::duration<double>(now - since_).count();
    if (timeline_ != nullptr) timeline_->add_phase(current_, since_, now);
    current_ = phase;
    since_ = now;
    if (mark_ != nullptr) mark_(phase);
  }
  // Ends the current phase, hands out what was counted since the last call, and counts on as `other`.
  Seconds take() {
    enter(Phase::other);
    const Seconds taken = seconds_;
    seconds_ = {};
    return taken;
  }
  // When the current phase began.
  std::chrono::steady_clock::time_point since() const { return since_; }

 private:
  Seconds seconds_{};
  Phase current_ = Phase::other;
  Timeline* timeline_ = nullptr;
  Mark mark_ = nullptr;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace switchyard
