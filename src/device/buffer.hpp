// Owned memory of one device.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "device/memory.hpp"

namespace switchyard::device {

inline constexpr std::size_t alignment_bytes = 64;  // a cache line, and a 512-bit register

// count * element_bytes; ContractViolation if count is negative or the product is no size.
std::size_t bytes_of(index_t count, std::size_t element_bytes);

// Raw memory, 64-byte aligned (a GPU: 256). Large blocks of the host ask the kernel for huge pages. Throws
// OutOfMemory with the size. Of a GPU: of the calling thread's current one, which is the Context's on the
// thread that made it; tasks of a pool allocate none.
void* allocate_bytes(MemoryKind memory, std::size_t bytes);
void free_bytes(MemoryKind memory, void* data) noexcept;
// Done when they return. `from` is the host's, or of that memory.
void zero_bytes(MemoryKind memory, void* data, std::size_t bytes);
void copy_now(void* to, MemoryKind memory, const void* from, std::size_t bytes);
// To the host.
void copy_back_now(void* to, const void* from, MemoryKind memory, std::size_t bytes);

// `count` elements of a trivially copyable T, zeroed. Moves, never copies.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(index_t count, MemoryKind memory = MemoryKind::host)
      : data_(static_cast<T*>(allocate_bytes(memory, bytes_of(count, sizeof(T))))),
        count_(count),
        memory_(memory) {
    zero_bytes(memory, data_, bytes_of(count, sizeof(T)));
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        count_(std::exchange(other.count_, 0)),
        memory_(other.memory_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      free_bytes(memory_, data_);
      data_ = std::exchange(other.data_, nullptr);
      count_ = std::exchange(other.count_, 0);
      memory_ = other.memory_;
    }
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { free_bytes(memory_, data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  index_t count() const { return count_; }
  MemoryKind memory() const { return memory_; }
  Span<T> span() { return {data_, count_}; }
  Span<const T> span() const { return {data_, count_}; }
  // Not of a GPU's memory.
  T& operator[](index_t i) { return data_[i]; }
  const T& operator[](index_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  index_t count_ = 0;
  MemoryKind memory_ = MemoryKind::host;
};

}  // namespace switchyard::device
