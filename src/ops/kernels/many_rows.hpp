// How finely a launch cuts its work.
#pragma once

#include "device/context.hpp"

namespace switchyard::ops::kernels {

// Whether it wants many small rows, which fill a GPU; a thread of a CPU takes more at once. The teams of
// several threads that stand for a GPU's in tests do as those.
inline bool wants_many_rows(const device::Context& context) {
  return context.device() == device::DeviceKind::cuda ||
         context.executor() == device::CpuExecutor::concurrent_team;
}

}  // namespace switchyard::ops::kernels
