// Phases of a step as a profiler of GPUs shows them.
#pragma once

#include "base/phase_clock.hpp"
#include "device/context.hpp"

namespace switchyard::device {

// What a clock of phases tells: ranges of NVTX, by the phases' names. Null on a CPU.
PhaseClock::Mark phase_mark(const Context& context);

}  // namespace switchyard::device
