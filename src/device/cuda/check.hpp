// Turns the CUDA runtime's codes into CudaError.
#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace switchyard::device::cuda {

// Throws CudaError with the call, the code, its name and its text. `advice` ends the sentence: what to try.
void check(cudaError_t status, std::string_view call, std::string_view advice = {});

// For destructors: logs instead. Silent while the process ends and the driver is already gone.
void log_failure(cudaError_t status, std::string_view call) noexcept;

}  // namespace switchyard::device::cuda
