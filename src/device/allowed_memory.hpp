// How much of the machine's memory may be used.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::device {

// The least of the machine's memory, the limits on the control groups of this process (a container's or a batch
// system's), which all ranks in them share, and the limit on its address space. Reads /proc and /sys; 0 if
// nothing is found there.
index_t allowed_memory_bytes();

// Apart for tests: the files that may hold the limits of the control groups that /proc/self/cgroup lists, in
// either version of them.
std::vector<std::string> memory_limit_files(std::istream& control_groups);

}  // namespace switchyard::device
