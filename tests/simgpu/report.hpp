// How mistakes are said, and what is looked at when the process ends.
#pragma once

#include <string>

namespace simgpu {

// Faults of this thread are explained, also those of a full stack.
void prepare_thread();

}  // namespace simgpu
