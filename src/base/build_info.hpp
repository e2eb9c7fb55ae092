// What this binary is: goes into checkpoints and the start table.
#pragma once

#include <string>

namespace switchyard {

struct BuildInfo {
  std::string version;
  std::string
      commit;  // "+changes" behind it: of a tree that differed from it; empty: built outside of a checkout
  std::string compiler;
  std::string build_type;
  std::string arch;  // -march
  bool cuda = false;
};

BuildInfo build_info();
// The linker's digest of this very program: two builds of one commit differ in it if anything in them differs.
// Empty if it was linked without --build-id.
std::string binary_id();
// One line: version, commit, compiler, type, arch, cuda.
std::string describe(const BuildInfo& info);

}  // namespace switchyard
