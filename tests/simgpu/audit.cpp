#include "simgpu/audit.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>

#include "simgpu/settings.hpp"

namespace simgpu {
namespace {

// Whether an address is mapped in this process. No program of ours lies in the first 4 GiB, where counts and
// indices would be taken for addresses.
bool is_mapped(std::uintptr_t address) {
  constexpr std::uintptr_t lowest = std::uintptr_t{1} << 32;
  constexpr std::uintptr_t highest = std::uintptr_t{1} << 47;
  constexpr std::uintptr_t page_bytes = 4096;
  if (address < lowest || address >= highest) return false;
  unsigned char resident = 0;
  return ::mincore(reinterpret_cast<void*>(address / page_bytes * page_bytes), 1, &resident) == 0;
}

// A device pointer may point to the end of what it walks through, and to the start of nothing.
void check_device_word(std::uintptr_t word, std::size_t number, std::string_view kernel, int device,
                       std::vector<const Allocation*>& used) {
  const Memory& memory = Memory::instance();
  const auto* const pointer = reinterpret_cast<const void*>(word);
  if (const Allocation* const allocation = memory.find(pointer)) {
    if (allocation->device != device) {
      mistake(fmt::format("word {} of {} points to memory of device {} ({}) and runs on device {}", number,
                          kernel, allocation->device, describe(*allocation), device));
    }
    used.push_back(allocation);
  } else if (const Allocation* const freed = memory.find_freed(pointer)) {
    print_stack(freed->origin);
    mistake(fmt::format("use after free: word {} of {} points into {}", number, kernel, describe(*freed)));
  }
}

void check_host_word(std::uintptr_t word, std::size_t number, std::string_view kernel) {
  const Memory& memory = Memory::instance();
  if (memory.is_pinned_address(word)) {
    mistake(fmt::format("host pointer in a kernel argument (word {} of {}): {} of pinned memory", number,
                        kernel, memory.describe_near(word)));
  }
  if (is_mapped(word)) {
    mistake(fmt::format("host pointer in a kernel argument (word {} of {}): {:#x}", number, kernel, word));
  }
}

}  // namespace

void translate_argument(std::span<std::byte> argument, std::size_t first_word, std::string_view kernel,
                        int device, std::vector<const Allocation*>& used) {
  const Memory& memory = Memory::instance();
  const bool host_allowed = settings().host_pointers;
  for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= argument.size(); at += sizeof(std::uintptr_t)) {
    std::uintptr_t word = 0;
    std::memcpy(&word, argument.data() + at, sizeof(word));
    const std::size_t number = first_word + at / sizeof(word);
    if (memory.is_device_address(word)) {
      check_device_word(word, number, kernel, device, used);
      word = memory.to_readable(word);
      std::memcpy(argument.data() + at, &word, sizeof(word));
    } else if (!host_allowed) {
      check_host_word(word, number, kernel);
    }
  }
}

}  // namespace simgpu
