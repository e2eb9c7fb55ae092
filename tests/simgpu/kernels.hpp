// The kernels that were launched at least once, and how they run.
#pragma once

#include <cuda_runtime_api.h>

#include "simgpu/kernel.hpp"

namespace simgpu {

inline constexpr std::size_t shared_bytes_without_opt_in = 48 << 10;
inline constexpr std::size_t most_shared_bytes = 227 << 10;  // of a block of sm_90
inline constexpr std::size_t most_argument_bytes = 4096;

// What sm_90 says to this launch.
cudaError_t launch_error(const cudaLaunchConfig_t& config, const void* entry);
cudaError_t opt_in_to_shared_memory(const void* entry, int bytes);

// Takes the arguments, looks at them, and issues the kernel. With device_lock() held.
void launch(const cudaLaunchConfig_t& config, const void* entry, void* const* arguments);

}  // namespace simgpu
