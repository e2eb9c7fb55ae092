// Owned memory of one device.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::device {

enum class DeviceKind { cpu, cuda };

inline constexpr std::size_t alignment_bytes = 64;  // a cache line, and a 512-bit register

// count * element_bytes; ContractViolation if count is negative or the product is no size.
std::size_t bytes_of(index_t count, std::size_t element_bytes);

// Raw memory, 64-byte aligned (a GPU: 256). Large blocks ask the kernel for huge pages. Throws OutOfMemory with
// the size. On a GPU: of the calling thread's current device, which is the Context's on the thread that made
// it; tasks of a pool allocate none.
void* allocate_bytes(DeviceKind device, std::size_t bytes);
void free_bytes(DeviceKind device, void* data) noexcept;
void zero_bytes(DeviceKind device, void* data, std::size_t bytes);

// `count` elements of a trivially copyable T, zeroed. Moves, never copies.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(index_t count, DeviceKind device = DeviceKind::cpu)
      : data_(static_cast<T*>(allocate_bytes(device, bytes_of(count, sizeof(T))))),
        count_(count),
        device_(device) {
    zero_bytes(device, data_, bytes_of(count, sizeof(T)));
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        count_(std::exchange(other.count_, 0)),
        device_(other.device_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      free_bytes(device_, data_);
      data_ = std::exchange(other.data_, nullptr);
      count_ = std::exchange(other.count_, 0);
      device_ = other.device_;
    }
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { free_bytes(device_, data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  index_t count() const { return count_; }
  DeviceKind device() const { return device_; }
  Span<T> span() { return {data_, count_}; }
  Span<const T> span() const { return {data_, count_}; }
  // Host memory only.
  T& operator[](index_t i) { return data_[i]; }
  const T& operator[](index_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  index_t count_ = 0;
  DeviceKind device_ = DeviceKind::cpu;
};

}  // namespace switchyard::device
