#include "device/allowed_memory.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/lines.hpp"
#include "device/describe.hpp"

namespace switchyard::device {

// Lines are "0::/a/b" (version 2) and "4:memory:/a/b" (version 1).
std::vector<std::string> memory_limit_files(std::istream& control_groups) {
  std::vector<std::string> files;
  for (std::string line; next_line(control_groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers != "memory") continue;
    const std::filesystem::path root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* const file = controllers.empty() ? "memory.max" : "memory.limit_in_bytes";
    // A group is in all those above it.
    std::filesystem::path group = std::filesystem::path(line.substr(second + 1)).relative_path();
    for (; !group.empty(); group = group.parent_path()) files.push_back(root / group / file);
    files.push_back(root / file);
  }
  return files;
}

index_t allowed_memory_bytes() {
  MachineInfo machine;
  std::ifstream meminfo("/proc/meminfo");
  read_meminfo(meminfo, machine);
  auto least = static_cast<index_t>(machine.memory_bytes);
  std::ifstream control_groups("/proc/self/cgroup");
  for (const std::string& file : memory_limit_files(control_groups)) {
    index_t limit = 0;
    if (std::ifstream(file) >> limit) least = std::min(least, limit);  // or it says "max"
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    least = std::min(least, static_cast<index_t>(limit.rlim_cur));
  return least;
}

}  // namespace switchyard::device
