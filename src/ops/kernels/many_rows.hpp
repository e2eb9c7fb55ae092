// How finely a launch cuts its work.
#pragma once

#include "device/context.hpp"
#include "device/team.hpp"

namespace switchyard::ops::kernels {

// Whether it wants many small rows, which fill a GPU; a thread of a CPU takes more at once. The teams of
// several threads that stand for a GPU's in tests do as those.
inline bool wants_many_rows(const device::Context& context) {
  return context.device() == device::DeviceKind::cuda ||
         context.executor() == device::CpuExecutor::concurrent_team;
}

// Rows of a launch for an image with so many items, which the lanes of a warp share.
inline index_t parts_of_image(const device::Context& context, index_t items) {
  return wants_many_rows(context) ? (items + device::lane_count - 1) / device::lane_count : 1;
}

}  // namespace switchyard::ops::kernels
