// In a file of its own, so that the compiler does not see through the replaced functions and pair them wrongly.
#include "support/allocation_counter.hpp"

#include <link.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<std::int64_t> count = 0;

struct AddressRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

// Where oneDNN's code lies: what it allocates while it runs a product is not ours.
AddressRange find_onednn() {
  AddressRange range;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* found) {
        if (std::strstr(info->dlpi_name, "libdnnl") == nullptr) return 0;
        auto* const result = static_cast<AddressRange*>(found);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
          result->begin = info->dlpi_addr + segment.p_vaddr;
          result->end = result->begin + segment.p_memsz;
        }
        return 1;
      },
      &range);
  return range;
}

void* counted(void* memory, const void* caller) {
  static const AddressRange onednn = find_onednn();
  const auto address = reinterpret_cast<std::uintptr_t>(caller);
  if (address < onednn.begin || address >= onednn.end) ++count;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace switchyard {
std::int64_t allocations() { return count; }
}  // namespace switchyard

// The array forms call these.
void* operator new(std::size_t bytes) {
  return counted(std::malloc(bytes > 0 ? bytes : 1), __builtin_return_address(0));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  return counted(
      std::aligned_alloc(align, (bytes + align - 1) / align * align),  // a whole number of alignments
      __builtin_return_address(0));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
