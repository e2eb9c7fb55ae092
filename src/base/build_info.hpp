// What this binary is: goes into checkpoints and the start table.
#pragma once

#include <string>

namespace switchyard {

struct BuildInfo {
  std::string version;
  std::string commit;
  std::string compiler;
  std::string build_type;
  std::string arch;  // -march
  bool cuda = false;
};

BuildInfo build_info();
// One line: version, commit, compiler, type, arch, cuda.
std::string describe(const BuildInfo& info);

}  // namespace switchyard
