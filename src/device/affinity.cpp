#include "device/affinity.hpp"

#include <sched.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <thread>

#include "base/ids.hpp"

namespace switchyard::device {
namespace {

// Of the kernel's mask; far above any machine of today.
constexpr int most_processors = 1 << 16;

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
};

}  // namespace

std::vector<int> allowed_processors() {
  // The fixed cpu_set_t ends at 1024; the kernel refuses a mask shorter than its own.
  const std::unique_ptr<cpu_set_t, FreeCpuSet> set(CPU_ALLOC(most_processors));
  const std::size_t set_bytes = CPU_ALLOC_SIZE(most_processors);
  std::vector<int> processors;
  if (set && sched_getaffinity(0, set_bytes, set.get()) == 0) {
    for (int processor = 0; processor < most_processors; ++processor) {
      if (CPU_ISSET_S(as_size(processor), set_bytes, set.get())) processors.push_back(processor);
    }
  }
  if (processors.empty()) {  // no mask to be had: all of them
    processors.resize(std::max(1U, std::thread::hardware_concurrency()));
    std::iota(processors.begin(), processors.end(), 0);
  }
  return processors;
}

}  // namespace switchyard::device
