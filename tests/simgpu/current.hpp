// What a thread of the host has of the runtime: its device and its last error.
#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace simgpu {

int current_device();
void set_current_device(int device);

cudaError_t last_error();
void clear_last_error();
// Remembers an error as the thread's last, and hands it on.
cudaError_t remember(cudaError_t error);

// What each function of the runtime begins with: counts the call. The error is what it must return at once,
// because there is no driver, the device is lost, or the failure was planned; else cudaSuccess.
cudaError_t begin(std::string_view call, cudaError_t planned = cudaErrorUnknown);

}  // namespace simgpu
