// The memory of the simulated devices and pinned memory of the host.
//
// Device memory is two windows of one size. What cudaMalloc gives lies in the first, in which nothing can ever
// be read or written; the bytes are at the same place of the second. Work on the device gets pointers moved
// from the first to the second. So a host that touches device memory faults, in whatever thread and whenever.
//
// An allocation starts at a multiple of 256 bytes and ends less than 256 bytes before a page that faults. What
// is left of its own pages holds a pattern (the canary) that is looked at. Addresses are never used twice: what
// is freed faults for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "simgpu/device.hpp"
#include "simgpu/origin.hpp"

namespace simgpu {

inline constexpr unsigned char poison = 0xff;  // a NaN, if read as a number

struct Allocation {
  MemoryKind kind = MemoryKind::device;
  int device = 0;
  std::uintptr_t begin = 0;  // as the program sees it
  std::size_t bytes = 0;
  std::uintptr_t pages_begin = 0;
  std::uintptr_t pages_end = 0;
  Origin origin;
  std::uintptr_t end() const { return begin + bytes; }
};

// "4096 bytes of cudaMalloc, its call 3"
std::string describe(const Allocation& allocation);

// Not thread-safe: callers hold device_lock().
class Memory {
 public:
  static Memory& instance();

  // Full of poison. Null if the device has not that much left.
  void* allocate(MemoryKind kind, std::size_t bytes, int device);
  // A mistake unless `data` is what allocate() gave, of that kind, and not yet given back.
  void release(MemoryKind kind, void* data, std::string_view call);

  // The allocation that holds the byte at `pointer`, or null.
  const Allocation* find(const void* pointer) const;
  // The one that held it before it was freed, or null.
  const Allocation* find_freed(const void* pointer) const;
  bool is_device_address(std::uintptr_t address) const { return address - unreadable_ < window_bytes; }
  bool is_readable_address(std::uintptr_t address) const { return address - readable_ < window_bytes; }
  bool is_pinned_address(std::uintptr_t address) const { return address - pinned_ < window_bytes; }
  // From the window that the program sees to the one that work on the device uses.
  std::uintptr_t to_readable(std::uintptr_t address) const { return address - unreadable_ + readable_; }
  std::uintptr_t from_readable(std::uintptr_t address) const { return address - readable_ + unreadable_; }

  // What is near an address in these windows, for messages.
  std::string describe_near(std::uintptr_t address) const;

  // A mistake if anything was written beside an allocation.
  void check_canaries(std::string_view when) const;
  void check_canary(const Allocation& allocation, std::string_view when) const;

  std::size_t used_bytes(int device) const;
  std::size_t total_bytes() const { return total_bytes_; }
  void set_total_bytes(std::size_t bytes) { total_bytes_ = bytes; }
  const std::map<std::uintptr_t, Allocation>& live() const { return live_; }

 private:
  static constexpr std::size_t window_bytes = std::size_t{1} << 40;

  Memory();
  unsigned char* bytes_of(const Allocation& allocation, std::uintptr_t address) const;

  std::uintptr_t unreadable_ = 0;
  std::uintptr_t readable_ = 0;
  std::uintptr_t pinned_ = 0;
  std::uintptr_t next_device_ = 0;
  std::uintptr_t next_pinned_ = 0;
  std::size_t total_bytes_ = 0;
  std::map<std::uintptr_t, Allocation> live_;   // by begin
  std::map<std::uintptr_t, Allocation> freed_;  // by begin
};

// One lock for all of the device. Recursive: work that runs with it held asks where its pointers lead.
std::recursive_mutex& device_lock();

}  // namespace simgpu
