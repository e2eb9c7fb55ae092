#include "device/launch.hpp"

#include "base/error.hpp"

namespace switchyard::device {

void no_device_code() {
  throw NotBuilt(
      "cannot run this kernel on a GPU (it was compiled without device code); name the file that launches it "
      "under KERNELS in its room's CMakeLists.txt, and configure with the preset `cuda`");
}

}  // namespace switchyard::device
