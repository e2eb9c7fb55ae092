#include "device/cuda/launch_kernel.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda/check.hpp"

namespace switchyard::device::cuda {
namespace {

constexpr index_t shared_bytes_without_opt_in = 48 << 10;

void opt_in_to_shared_memory(const void* kernel, index_t bytes) {
  int device = 0;
  int most_bytes = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&most_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "cudaDeviceGetAttribute");
  if (bytes > most_bytes) {
    throw CudaError(
        fmt::format("a row needs {} bytes of scratch (device {} gives a block {} bytes of shared memory); use "
                    "narrower layers or fewer experts, or run on the CPU",
                    bytes, device, most_bytes));
  }
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
}

}  // namespace

void launch_kernel_with(const void* kernel, const LaunchShape& shape, void** arguments) {
  if (shape.shared_bytes > shared_bytes_without_opt_in) opt_in_to_shared_memory(kernel, shape.shared_bytes);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads_per_block));
  config.dynamicSmemBytes = as_size(shape.shared_bytes);
  config.stream = static_cast<cudaStream_t>(shape.stream);
  const cudaError_t status = cudaLaunchKernelExC(&config, kernel, arguments);
  if (status == cudaSuccess) [[likely]]
    return;
  check(status, fmt::format("cudaLaunchKernelExC with {} blocks of {} threads and {} bytes of shared memory",
                            shape.blocks, shape.threads_per_block, shape.shared_bytes));
}

}  // namespace switchyard::device::cuda
