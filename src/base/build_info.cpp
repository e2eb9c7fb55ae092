#include "base/build_info.hpp"

#include <fmt/format.h>

namespace switchyard {

BuildInfo build_info() {
  BuildInfo info;
  info.version = SY_VERSION;
  info.commit = SY_COMMIT;
  info.compiler = fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
  info.build_type = SY_BUILD_TYPE;
  info.arch = SY_ARCH;
#ifdef SWITCHYARD_CUDA
  info.cuda = true;
#endif
  return info;
}

std::string describe(const BuildInfo& info) {
  return fmt::format("switchyard {} ({}), {}, {}, -march={}, cuda {}", info.version,
                     info.commit.empty() ? "no commit" : info.commit, info.compiler, info.build_type, info.arch,
                     info.cuda ? "built in" : "not built in");
}

}  // namespace switchyard
