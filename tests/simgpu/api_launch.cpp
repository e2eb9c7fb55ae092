// Launches of the CUDA runtime.
#include <cuda_runtime_api.h>

#include "simgpu/current.hpp"
#include "simgpu/kernels.hpp"
#include "simgpu/memory.hpp"

extern "C" {

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void** arguments) {
  if (const cudaError_t error = simgpu::begin("cudaLaunchKernelExC", cudaErrorLaunchOutOfResources)) {
    return simgpu::remember(error);
  }
  const std::scoped_lock lock(simgpu::device_lock());
  if (const cudaError_t error = simgpu::launch_error(*config, kernel)) return simgpu::remember(error);
  simgpu::launch(*config, kernel, arguments);
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, enum cudaFuncAttribute attribute, int value) {
  if (const cudaError_t error = simgpu::begin("cudaFuncSetAttribute")) return simgpu::remember(error);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return simgpu::remember(cudaErrorInvalidValue);
  const std::scoped_lock lock(simgpu::device_lock());
  return simgpu::remember(simgpu::opt_in_to_shared_memory(kernel, value));
}

}  // extern "C"
