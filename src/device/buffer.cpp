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

void* allocate_bytes(MemoryKind memory, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (memory == MemoryKind::device) return cuda::allocate(bytes);
  if (memory == MemoryKind::pinned) return cuda::allocate_pinned(bytes);
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

void free_bytes(MemoryKind memory, void* data) noexcept {
  if (data == nullptr) return;
  switch (memory) {
    case MemoryKind::host:
      return std::free(data);
    case MemoryKind::pinned:
      return cuda::release_pinned(data);
    case MemoryKind::device:
      return cuda::release(data);
  }
}

void zero_bytes(MemoryKind memory, void* data, std::size_t bytes) {
  if (bytes == 0) return;
  if (memory == MemoryKind::device) return cuda::zero(data, bytes);
  std::memset(data, 0, bytes);
}

void copy_now(void* to, MemoryKind memory, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  if (memory == MemoryKind::device) return cuda::copy_now(to, from, bytes, cuda::CopyDirection::to_device);
  std::memcpy(to, from, bytes);
}

void copy_back_now(void* to, const void* from, MemoryKind memory, std::size_t bytes) {
  if (bytes == 0) return;
  if (memory == MemoryKind::device) return cuda::copy_now(to, from, bytes, cuda::CopyDirection::to_host);
  std::memcpy(to, from, bytes);
}

}  // namespace switchyard::device
