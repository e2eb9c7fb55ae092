// The one place that starts a kernel on a GPU, or on the simulated device of tests/simgpu.
#pragma once

#include <type_traits>

#include "device/cuda/launch_shape.hpp"

namespace switchyard::device::cuda {

// Calls cudaLaunchKernelExC: stream-ordered, returns at once. `arguments` holds one pointer per parameter of
// the kernel. Throws CudaError, also if a block would need more shared memory than the device has.
void launch_kernel_with(const void* kernel, const LaunchShape& shape, void** arguments);

template <class... Parameters>
void launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape,
                   std::type_identity_t<Parameters>... arguments) {
#if defined(SY_SIMULATED_DEVICE)
  simgpu::know_kernel(kernel);  // what its parameters are, which nvcc records
#endif
  void* pointers[] = {&arguments...};
  launch_kernel_with(reinterpret_cast<const void*>(kernel), shape, pointers);
}

}  // namespace switchyard::device::cuda
