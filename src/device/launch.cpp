#include "device/launch.hpp"

#include "base/error.hpp"

namespace switchyard::device {

std::byte* cpu::thread_scratch(index_t bytes) {
  static thread_local Buffer<std::byte> buffer;
  if (bytes > buffer.count()) buffer = Buffer<std::byte>(bytes);
  return buffer.data();
}

void no_device_code() {
  throw NotBuilt(
      "cannot run this kernel on a GPU (it was compiled without device code); name the file that launches it "
      "under KERNELS in its room's CMakeLists.txt, and configure with the preset `cuda`");
}

}  // namespace switchyard::device
