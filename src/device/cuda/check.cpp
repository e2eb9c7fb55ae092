#include "device/cuda/check.hpp"

#include <fmt/format.h>

#include <exception>

#include "base/error.hpp"
#include "base/log.hpp"

namespace switchyard::device::cuda {
namespace {

constexpr std::string_view usual_advice =
    "`switchyard doctor` shows the devices; CUDA_LAUNCH_BLOCKING=1 names the kernel that failed";

std::string describe(cudaError_t status, std::string_view call) {
  return fmt::format("{} failed (CUDA error {}, {}: {})", call, static_cast<int>(status),
                     cudaGetErrorName(status), cudaGetErrorString(status));
}

}  // namespace

void check(cudaError_t status, std::string_view call, std::string_view advice) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // clears the error unless the context is lost
  throw CudaError(fmt::format("{}; {}", describe(status, call), advice.empty() ? usual_advice : advice));
}

void log_failure(cudaError_t status, std::string_view call) noexcept {
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  try {
    log::error("{}", describe(status, call));
  } catch (const std::exception&) {  // no memory for the line: nothing to add to that
  }
}

}  // namespace switchyard::device::cuda
