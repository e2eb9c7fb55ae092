#include "device/buffer.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {
namespace {
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
}

std::size_t bytes_of(index_t count, std::size_t element_bytes) {
  constexpr auto most_bytes = as_size(std::numeric_limits<index_t>::max());
  SY_EXPECTS(count >= 0 && as_size(count) <= most_bytes / element_bytes,
             "{} elements of {} bytes are not a size of memory", count, element_bytes);
  return as_size(count) * element_bytes;
}

void* allocate_bytes(DeviceKind device, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (device == DeviceKind::cuda) return cuda::allocate(bytes);
  const bool large = bytes >= 2 * huge_page_bytes;
  const std::size_t boundary = large ? huge_page_bytes : alignment_bytes;
  const std::size_t rounded = (bytes + boundary - 1) / boundary * boundary;
  void* const data = std::aligned_alloc(boundary, rounded);
  if (data == nullptr) {
    throw OutOfMemory(fmt::format(
        "cannot allocate {} bytes (the system refused); use more ranks, a smaller batch or a smaller model",
        bytes));
  }
  if (large) madvise(data, rounded, MADV_HUGEPAGE);  // a hint: failure changes nothing
  return data;
}

void free_bytes(DeviceKind device, void* data) noexcept {
  if (data == nullptr) return;
  device == DeviceKind::cuda ? cuda::release(data) : std::free(data);
}

void zero_bytes(DeviceKind device, void* data, std::size_t bytes) {
  if (bytes == 0) return;
  if (device == DeviceKind::cuda) return cuda::zero(data, bytes);
  std::memset(data, 0, bytes);
}

}  // namespace switchyard::device
