#include "device/buffer.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "device/allowed_memory.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {
namespace {
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

bool is_large(std::size_t bytes) { return bytes >= 2 * huge_page_bytes; }

// In large blocks of the host, by this process; and what a block adds to that.
std::atomic<std::size_t> held_bytes = 0;
std::size_t counted_bytes(void* block) {
  const std::size_t bytes = malloc_usable_size(block);
  return is_large(bytes) ? bytes : 0;
}

// The kernel promises more than there is, and ends the process without a word where it writes to that. Ranks
// that share a host each count their own alone: what is refused here could never be.
void expect_room(std::size_t bytes) {
  const auto allowed = as_size(allowed_memory_bytes());
  const std::size_t held = held_bytes;
  if (allowed == 0 || held + bytes <= allowed) return;
  constexpr double gibibyte = 1 << 30;
  throw OutOfMemory(fmt::format(
      "cannot allocate {} bytes (this rank holds {:.1f} GiB, and this host allows {:.1f} GiB); use more hosts, a smaller "
      "batch or a smaller model (`switchyard plan` says what a rank takes)",
      bytes, static_cast<double>(held) / gibibyte, static_cast<double>(allowed) / gibibyte));
}
}  // namespace

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
  const bool large = is_large(bytes);
  if (large) expect_room(bytes);
  const std::size_t boundary = large ? huge_page_bytes : alignment_bytes;
  const std::size_t rounded = (bytes + boundary - 1) / boundary * boundary;
  void* const data = std::aligned_alloc(boundary, rounded);
  if (data == nullptr) {
    throw OutOfMemory(fmt::format(
        "cannot allocate {} bytes (the system refused); use more ranks, a smaller batch or a smaller model",
        bytes));
  }
  held_bytes += counted_bytes(data);
  if (large) madvise(data, rounded, MADV_HUGEPAGE);  // a hint: failure changes nothing
  return data;
}

void free_bytes(MemoryKind memory, void* data) noexcept {
  if (data == nullptr) return;
  switch (memory) {
    case MemoryKind::host:
      held_bytes -= counted_bytes(data);
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
