// The part of the CUDA runtime that says what there is.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <span>
#include <string>

#include "simgpu/current.hpp"
#include "simgpu/faults.hpp"
#include "simgpu/kernels.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/settings.hpp"
#include "simgpu/streams.hpp"

namespace {

using namespace simgpu;

constexpr int version = 13000;  // 1000 * major + 10 * minor
constexpr int warp_size = 32;
constexpr int most_threads = 1024;
constexpr int multiprocessor_shared_bytes = 228 << 10;
constexpr int l2_bytes = 50 << 20;
constexpr int clock_khz = 1'980'000;
constexpr int memory_clock_khz = 2'619'000;
constexpr int bus_bits = 5120;
constexpr int compute_major = 9;
constexpr int compute_minor = 0;

bool is_device(int ordinal) { return ordinal >= 0 && ordinal < settings().devices; }

void copy_text(std::span<char> to, const std::string& from) {
  const std::size_t length = std::min(to.size() - 1, from.size());
  std::memcpy(to.data(), from.data(), length);
  to[length] = '\0';
}

struct ErrorName {
  cudaError_t error;
  const char* name;
  const char* text;
};

// The texts are the real ones, but for their spelling.
constexpr std::array error_names = {
    ErrorName{cudaSuccess, "cudaSuccess", "no error"},
    ErrorName{cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    ErrorName{cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    ErrorName{cudaErrorInitializationError, "cudaErrorInitializationError", "initialisation error"},
    ErrorName{cudaErrorCudartUnloading, "cudaErrorCudartUnloading", "driver shutting down"},
    ErrorName{cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    ErrorName{cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
              "invalid copy direction for memcpy"},
    ErrorName{cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
              "CUDA driver version is insufficient for CUDA runtime version"},
    ErrorName{cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    ErrorName{cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    ErrorName{cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    ErrorName{cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    ErrorName{cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    ErrorName{cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    ErrorName{cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
              "too many resources requested for launch"},
    ErrorName{cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    ErrorName{cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    ErrorName{cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    ErrorName{cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    ErrorName{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"}};

const ErrorName* named(cudaError_t error) {
  const auto found = std::ranges::find(error_names, error, &ErrorName::error);
  return found == error_names.end() ? nullptr : &*found;
}

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* result) {
  if (const auto planned = enter("cudaDriverGetVersion", cudaErrorUnknown))
    return remember(static_cast<cudaError_t>(*planned));
  *result = settings().driver == Driver::missing ? 0 : version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* result) {
  if (const auto planned = enter("cudaRuntimeGetVersion", cudaErrorUnknown))
    return remember(static_cast<cudaError_t>(*planned));
  *result = version;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (const cudaError_t error = begin("cudaGetDeviceCount")) return remember(error);
  *count = settings().devices;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp* properties, int device) {
  if (const cudaError_t error = begin("cudaGetDeviceProperties")) return remember(error);
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  *properties = {};
  copy_text(properties->name, "simulated device");
  properties->totalGlobalMem = Memory::instance().total_bytes();
  properties->sharedMemPerBlock = shared_bytes_without_opt_in;
  properties->sharedMemPerBlockOptin = most_shared_bytes;
  properties->warpSize = warp_size;
  properties->maxThreadsPerBlock = most_threads;
  properties->major = compute_major;
  properties->minor = compute_minor;
  properties->multiProcessorCount = settings().multiprocessors;
  properties->l2CacheSize = l2_bytes;
  properties->memoryBusWidth = bus_bits;
  properties->pciBusID = device + 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, enum cudaDeviceAttr attribute, int device) {
  if (const cudaError_t error = begin("cudaDeviceGetAttribute")) return remember(error);
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return *value = most_threads, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return *value = static_cast<int>(shared_bytes_without_opt_in), cudaSuccess;
    case cudaDevAttrWarpSize:
      return *value = warp_size, cudaSuccess;
    case cudaDevAttrClockRate:
      return *value = clock_khz, cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      return *value = settings().multiprocessors, cudaSuccess;
    case cudaDevAttrMemoryClockRate:
      return *value = memory_clock_khz, cudaSuccess;
    case cudaDevAttrGlobalMemoryBusWidth:
      return *value = bus_bits, cudaSuccess;
    case cudaDevAttrL2CacheSize:
      return *value = l2_bytes, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      return *value = compute_major, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      return *value = compute_minor, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return *value = multiprocessor_shared_bytes, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *value = static_cast<int>(most_shared_bytes), cudaSuccess;
  }
  return remember(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetPCIBusId(char* name, int bytes, int device) {
  if (const cudaError_t error = begin("cudaDeviceGetPCIBusId")) return remember(error);
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  if (bytes <= 0) return remember(cudaErrorInvalidValue);
  copy_text({name, static_cast<std::size_t>(bytes)}, fmt::format("0000:{:02X}:00.0", device + 1));
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t error = begin("cudaSetDevice")) return remember(error);
  if (!is_device(device)) return remember(cudaErrorInvalidDevice);
  set_current_device(device);
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  if (const cudaError_t error = begin("cudaGetDevice")) return remember(error);
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = begin("cudaDeviceSynchronize")) return remember(error);
  run_all();
  return remember(static_cast<cudaError_t>(lost_code()));
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  clear_last_error();
  return error;
}

cudaError_t cudaPeekAtLastError() {
  const int lost = lost_code();
  return lost == 0 ? last_error() : static_cast<cudaError_t>(lost);
}

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorName* const known = named(error);
  return known == nullptr ? "unknown error code" : known->name;
}

const char* cudaGetErrorString(cudaError_t error) {
  const ErrorName* const known = named(error);
  return known == nullptr ? "unknown error code" : known->text;
}

}  // extern "C"
