#include "simgpu/memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>
#include <iterator>

#include "simgpu/report.hpp"
#include "simgpu/settings.hpp"

namespace simgpu {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t start_multiple = 256;  // cudaMalloc's
constexpr unsigned char canary = 0xc5;

constexpr std::size_t round_up(std::size_t bytes, std::size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

std::uintptr_t reserve(std::size_t bytes) {
  void* const window = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (window == MAP_FAILED) mistake("the system gives no address space for the memory of the simulated device");
  return reinterpret_cast<std::uintptr_t>(window);
}

const Allocation* holder(const std::map<std::uintptr_t, Allocation>& allocations, std::uintptr_t address) {
  const auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  const Allocation& before = std::prev(after)->second;
  return address < before.end() ? &before : nullptr;
}

const Allocation* nearest_before(const std::map<std::uintptr_t, Allocation>& allocations,
                                 std::uintptr_t address) {
  const auto after = allocations.upper_bound(address);
  return after == allocations.begin() ? nullptr : &std::prev(after)->second;
}

}  // namespace

std::recursive_mutex& device_lock() {
  static auto* const lock = new std::recursive_mutex;  // outlives all static objects
  return *lock;
}

std::string describe(const Allocation& allocation) {
  return fmt::format("{} bytes of {}", allocation.bytes, describe(allocation.origin));
}

Memory& Memory::instance() {
  static auto* const memory = new Memory;
  return *memory;
}

Memory::Memory()
    : unreadable_(reserve(window_bytes)),
      readable_(reserve(window_bytes)),
      pinned_(reserve(window_bytes)),
      next_device_(unreadable_ + page_bytes),
      next_pinned_(pinned_ + page_bytes),
      total_bytes_(settings().memory_bytes) {
  prepare_thread();
}

unsigned char* Memory::bytes_of(const Allocation& allocation, std::uintptr_t address) const {
  return reinterpret_cast<unsigned char*>(allocation.kind == MemoryKind::device ? to_readable(address)
                                                                                : address);
}

void* Memory::allocate(MemoryKind kind, std::size_t bytes, int device) {
  if (kind == MemoryKind::device && bytes > total_bytes_ - used_bytes(device)) return nullptr;
  const std::size_t rounded = round_up(bytes, start_multiple);
  const std::size_t own_pages = round_up(rounded, page_bytes);
  std::uintptr_t& next = kind == MemoryKind::device ? next_device_ : next_pinned_;
  const std::uintptr_t window = kind == MemoryKind::device ? unreadable_ : pinned_;
  if (own_pages + page_bytes > window + window_bytes - next) return nullptr;

  Allocation made{.kind = kind,
                  .device = device,
                  .begin = next + own_pages - rounded,
                  .bytes = bytes,
                  .pages_begin = next,
                  .pages_end = next + own_pages,
                  .origin = origin_of(kind == MemoryKind::device ? "cudaMalloc" : "cudaMallocHost")};
  next = made.pages_end + page_bytes;
  unsigned char* const pages = bytes_of(made, made.pages_begin);
  if (::mprotect(pages, own_pages, PROT_READ | PROT_WRITE) != 0) return nullptr;
  std::memset(pages, canary, made.begin - made.pages_begin);
  std::memset(bytes_of(made, made.begin), poison, bytes);
  std::memset(bytes_of(made, made.end()), canary, made.pages_end - made.end());
  return reinterpret_cast<void*>(live_.emplace(made.begin, std::move(made)).first->first);
}

void Memory::release(MemoryKind kind, void* data, std::string_view call) {
  const auto found = live_.find(reinterpret_cast<std::uintptr_t>(data));
  if (found == live_.end()) {
    if (const Allocation* const freed = find_freed(data)) {
      print_stack(freed->origin);
      mistake(fmt::format("double free: {} of {}, which were freed before", call, describe(*freed)));
    }
    mistake(fmt::format("{} of {}, which is the start of no allocation ({})", call, data,
                        describe_near(reinterpret_cast<std::uintptr_t>(data))));
  }
  const Allocation& allocation = found->second;
  if (allocation.kind != kind) mistake(fmt::format("{} of {}", call, describe(allocation)));
  check_canary(allocation, call);
  unsigned char* const pages = bytes_of(allocation, allocation.pages_begin);
  const std::size_t own_pages = allocation.pages_end - allocation.pages_begin;
  ::madvise(pages, own_pages, MADV_DONTNEED);
  ::mprotect(pages, own_pages, PROT_NONE);
  freed_.insert(live_.extract(found));
}

const Allocation* Memory::find(const void* pointer) const {
  return holder(live_, reinterpret_cast<std::uintptr_t>(pointer));
}

const Allocation* Memory::find_freed(const void* pointer) const {
  return holder(freed_, reinterpret_cast<std::uintptr_t>(pointer));
}

std::string Memory::describe_near(std::uintptr_t address) const {
  const auto* const pointer = reinterpret_cast<const void*>(address);
  if (const Allocation* const inside = find(pointer)) {
    return fmt::format("byte {} of {}", address - inside->begin, describe(*inside));
  }
  if (const Allocation* const freed = find_freed(pointer)) {
    return fmt::format("byte {} of {}, which were freed", address - freed->begin, describe(*freed));
  }
  const Allocation* const before = nearest_before(live_, address);
  if (before == nullptr || address >= before->pages_end + page_bytes) return "in no allocation";
  return fmt::format("{} bytes behind the end of {}", address - before->end(), describe(*before));
}

void Memory::check_canary(const Allocation& allocation, std::string_view when) const {
  // In front of the allocation, only what is near: the rest is looked at by nobody who counts on speed.
  constexpr std::size_t looked_at_in_front = 64;
  const std::size_t in_front = std::min(allocation.begin - allocation.pages_begin, looked_at_in_front);
  const unsigned char* const begin = bytes_of(allocation, allocation.begin);
  for (std::size_t i = 1; i <= in_front; ++i) {
    if (*(begin - i) == canary) continue;
    print_stack(allocation.origin);
    mistake(fmt::format("{}: underrun, {} bytes before the start of {} were written", when, i,
                        describe(allocation)));
  }
  const std::size_t behind = allocation.pages_end - allocation.end();
  for (std::size_t i = 0; i < behind; ++i) {
    if (begin[allocation.bytes + i] == canary) continue;
    print_stack(allocation.origin);
    mistake(fmt::format("{}: overrun, {} bytes behind the end of {} were written", when, i + 1,
                        describe(allocation)));
  }
}

void Memory::check_canaries(std::string_view when) const {
  for (const auto& [begin, allocation] : live_) check_canary(allocation, when);
}

std::size_t Memory::used_bytes(int device) const {
  std::size_t used = 0;
  for (const auto& [begin, allocation] : live_) {
    if (allocation.kind == MemoryKind::device && allocation.device == device) used += allocation.bytes;
  }
  return used;
}

Place place_of(const void* pointer) {
  const std::scoped_lock lock(device_lock());
  const Memory& memory = Memory::instance();
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Place place;
  place.readable = static_cast<std::byte*>(const_cast<void*>(pointer));
  const Allocation* const allocation = memory.find(pointer);
  if (allocation == nullptr) {
    const bool in_a_window = memory.is_device_address(address) || memory.is_readable_address(address) ||
                             memory.is_pinned_address(address);
    place.kind = in_a_window ? MemoryKind::none : MemoryKind::pageable;
    return place;
  }
  place.kind = allocation->kind;
  place.bytes_left = allocation->end() - address;
  place.device = allocation->device;
  place.allocation = describe(*allocation);
  if (place.kind == MemoryKind::device) {
    place.readable = reinterpret_cast<std::byte*>(memory.to_readable(address));
  }
  return place;
}

std::byte* device_range(const void* pointer, std::size_t bytes, std::string_view user) {
  const std::scoped_lock lock(device_lock());
  const Place place = place_of(pointer);
  if (place.kind != MemoryKind::device) {
    const bool is_host = place.kind == MemoryKind::pinned || place.kind == MemoryKind::pageable;
    mistake(fmt::format(
        "{}: {} is no device memory ({})", user, pointer,
        is_host ? "host memory" : Memory::instance().describe_near(reinterpret_cast<std::uintptr_t>(pointer))));
  }
  if (bytes > place.bytes_left) {
    mistake(fmt::format("{}: overrun, {} bytes are used where {} are left of {}", user, bytes, place.bytes_left,
                        place.allocation));
  }
  return place.readable;
}

}  // namespace simgpu
