#include "device/phase_mark.hpp"

#include "device/cuda/backend.hpp"

namespace switchyard::device {

PhaseClock::Mark phase_mark(const Context& context) {
  if (context.device() == DeviceKind::cpu) return nullptr;
  return [](Phase phase) { cuda::mark_range(name(phase).data()); };
}

}  // namespace switchyard::device
