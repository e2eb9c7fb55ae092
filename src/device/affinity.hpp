// The processors that this process may use.
#pragma once

#include <vector>

namespace switchyard::device {

// Numbers of the processors in the calling thread's affinity mask, ascending, at least one. The launcher, the
// batch system or a container may leave fewer than the machine has. Call it before threads of ours are pinned.
std::vector<int> allowed_processors();

}  // namespace switchyard::device
