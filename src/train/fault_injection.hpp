// Failures on purpose: how the tests see what a rank's failure in the middle of a step does to the others.
#pragma once

#include "base/ids.hpp"

namespace switchyard::train {

// One failure of one rank, asked for by the environment variable SWITCHYARD_FAULT = RANK:STEP:KIND. STEP counts
// finished steps, as the watchdog's sentences do. KIND: `numeric` throws a NumericError, `unexpected` an
// exception that is none of ours, `kill` and `stop` are SIGKILL and SIGSTOP. For tests; without the variable
// nothing ever happens.
class FaultInjection {
 public:
  // Throws ConfigError if the variable is there and cannot be read: on all ranks, since they share the
  // environment.
  static FaultInjection from_environment(WorldRank rank);

  // Called by every step between forward and backward, where peers are about to wait for this rank. Not
  // collective.
  void strike(index_t step) const {
    if (step == step_) [[unlikely]]
      fail();
  }

 private:
  enum class Kind { numeric, unexpected, kill, stop };
  void fail() const;

  index_t step_ = -1;  // never
  Kind kind_ = Kind::unexpected;
};

}  // namespace switchyard::train
