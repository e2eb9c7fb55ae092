// The one place that starts a kernel on a GPU. tests/support/simulated_gpu holds a file of this name that runs
// kernels with host threads instead.
#pragma once

#include <cstddef>
#include <type_traits>

#include "base/ids.hpp"

namespace switchyard::device::cuda {

inline constexpr std::size_t largest_functor_bytes = 4000;  // a kernel's parameters have 4 KiB everywhere

struct LaunchShape {
  index_t blocks = 0;
  int threads_per_block = 0;
  index_t shared_bytes = 0;  // per block; above 48 KiB the kernel is opted in first
  void* stream = nullptr;
};

// Calls cudaLaunchKernelExC: stream-ordered, returns at once. `arguments` holds one pointer per parameter of
// the kernel. Throws CudaError, also if a block would need more shared memory than the device has.
void launch_kernel_with(const void* kernel, const LaunchShape& shape, void** arguments);

template <class... Parameters>
void launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape,
                   std::type_identity_t<Parameters>... arguments) {
  void* pointers[] = {&arguments...};
  launch_kernel_with(reinterpret_cast<const void*>(kernel), shape, pointers);
}

}  // namespace switchyard::device::cuda
