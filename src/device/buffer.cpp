#include "device/buffer.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/error.hpp"

namespace switchyard::device {
namespace {
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
}

void* allocate_bytes(DeviceKind device, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (device == DeviceKind::cuda) throw NotBuilt("this build has no CUDA memory; configure with the preset `cuda`");
  const bool large = bytes >= 2 * huge_page_bytes;
  const std::size_t boundary = large ? huge_page_bytes : alignment_bytes;
  const std::size_t rounded = (bytes + boundary - 1) / boundary * boundary;
  void* const data = std::aligned_alloc(boundary, rounded);
  if (data == nullptr) {
    throw OutOfMemory(fmt::format("cannot allocate {} bytes (the system refused); use more ranks, a smaller batch or a smaller model",
                                  bytes));
  }
  if (large) madvise(data, rounded, MADV_HUGEPAGE);  // a hint: failure changes nothing
  return data;
}

void free_bytes(DeviceKind, void* data) noexcept { std::free(data); }

void zero_bytes(DeviceKind, void* data, std::size_t bytes) {
  if (bytes != 0) std::memset(data, 0, bytes);
}

}  // namespace switchyard::device
