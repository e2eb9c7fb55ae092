// When a rank did what: steps, their phases, the operations in them, and what comes between steps.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/phase.hpp"

namespace switchyard {

// Of one rank, by its own clock. Keeps the first steps and the last ones, in memory that is bounded and there
// from the start: nothing is allocated later. Spans that are in each other are kept as they end. Used by one
// thread.
class Timeline {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Kind : std::uint8_t { step, phase, operation, evaluation, checkpoint };
  // Plain bytes: travels between ranks as it is.
  struct Span {
    std::int64_t begin_ns = 0;  // of the clock's time
    std::int64_t end_ns = 0;
    std::int64_t number = 0;  // of a step (from 1), or after which step; of an operation the bytes sent
    Kind kind = Kind::step;
    std::uint8_t what = 0;  // a Phase; of an operation, the number that the caller gave it
  };
  static std::int64_t ns(Clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  }

  // Keeps `steps` steps, 1 at least, at each end.
  explicit Timeline(index_t steps);

  // Phases and operations are kept within a step alone. Steps count from 1.
  void begin_step(index_t step, Clock::time_point begin);
  void add_phase(Phase phase, Clock::time_point begin, Clock::time_point end);
  // `operation` below 256.
  void add_operation(int operation, Clock::time_point begin, Clock::time_point end, index_t sent_bytes);
  void end_step(Clock::time_point end);
  // An evaluation or a checkpoint, outside steps.
  void add(Kind kind, index_t after_step, Clock::time_point begin, Clock::time_point end);
  bool is_in_step() const { return in_step_; }

  struct Kept {
    std::vector<Span> spans;  // parents before what is in them
    // So many steps are not in it, one behind the other; the last one's number.
    index_t left_out = 0;
    index_t last_left_out = 0;
  };
  // What there is so far; a step under way, which a failure has left, ends with what is known of it. Allocates.
  Kept kept() const;

 private:
  void keep(const Span& span);
  Span open_step() const;

  index_t steps_;
  std::size_t capacity_;     // of each of the two
  std::vector<Span> first_;  // until the first steps have ended
  std::vector<Span> last_;   // then: a ring once it is full
  std::size_t next_ = 0;     // place in the ring
  bool wrapped_ = false;     // spans were overwritten
  index_t begun_ = 0;        // steps
  bool in_step_ = false;
  Span step_;  // under way
};

}  // namespace switchyard
