#include "device/cpu/thread_scratch.hpp"

#include "device/buffer.hpp"

namespace switchyard::device::cpu {

std::byte* thread_scratch(index_t bytes) {
  static thread_local Buffer<std::byte> buffer;
  if (bytes > buffer.count()) buffer = Buffer<std::byte>(bytes);
  return buffer.data();
}

}  // namespace switchyard::device::cpu
