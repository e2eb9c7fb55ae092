// Turns the CUDA runtime's codes into CudaError, and says what may still be let go of once something has
// failed.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <string_view>

namespace switchyard::device::cuda {

// "cudaMalloc failed (CUDA error 2, cudaErrorMemoryAllocation: out of memory)"
std::string describe(cudaError_t status, std::string_view call);

// Throws CudaError with the call, the code, its name and its text. `advice` ends the sentence: what to try.
void check(cudaError_t status, std::string_view call, std::string_view advice = {});

// For destructors: logs instead. The first failure of this thread alone, since others follow from it; silent
// while the process ends and the driver is already gone.
void log_failure(cudaError_t status, std::string_view call) noexcept;

// What the device has met, for the messages of libraries that only see that it is lost: "; CUDA error 719,
// ...", or nothing.
std::string also_met();

// What is let go of while an exception unwinds may still be in use: work was enqueued whose end nobody will
// wait for. True once all of it has ended. If that does not come within a second or two, or the device is lost,
// all is left to the end of the process, in silence.
bool may_release() noexcept;

// Of this thread, which has the device from its beginning again.
void forget_failures() noexcept;
// The streams of this thread whose work may_release() waits for.
void note_stream(cudaStream_t stream);
void forget_stream(cudaStream_t stream) noexcept;

}  // namespace switchyard::device::cuda
