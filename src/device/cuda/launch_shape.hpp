// How many threads a kernel gets, and what they share.
#pragma once

#include <cstddef>

#include "base/ids.hpp"

namespace switchyard::device::cuda {

inline constexpr std::size_t largest_functor_bytes = 4000;  // a kernel's parameters have 4 KiB everywhere

struct LaunchShape {
  index_t blocks = 0;
  int threads_per_block = 0;
  index_t shared_bytes = 0;  // per block; above 48 KiB the kernel is opted in first
  void* stream = nullptr;
};

}  // namespace switchyard::device::cuda
