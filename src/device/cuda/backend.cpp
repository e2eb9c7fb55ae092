#include "device/cuda/backend.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda/check.hpp"

namespace switchyard::device {

CudaDevices cuda_devices() {
  CudaDevices found;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    (void)cudaGetLastError();
    int driver_version = 0;
    const bool no_driver = cudaDriverGetVersion(&driver_version) == cudaSuccess && driver_version == 0;
    found.why_none = no_driver ? "this machine has no CUDA driver" : cudaGetErrorString(status);
  } else if (count == 0) {
    found.why_none = "the driver shows no device";
  }
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    cuda::check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    found.devices.push_back({.name = properties.name,
                             .compute_capability = 10 * properties.major + properties.minor,
                             .memory_bytes = properties.totalGlobalMem});
  }
  return found;
}

namespace cuda {

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
    throw OutOfMemory(
        fmt::format("cannot allocate {} bytes on the GPU ({} of its {} bytes are free); use more ranks, a "
                    "smaller batch or a smaller model",
                    bytes, free_bytes, total_bytes));
  }
  check(status, "cudaMalloc");
  return data;
}

void release(void* data) noexcept { log_failure(cudaFree(data), "cudaFree"); }

void zero(void* data, std::size_t bytes) {
  check(cudaMemset(data, 0, bytes), "cudaMemset");
  // Our streams do not wait for the default stream, on which cudaMemset runs.
  check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

void copy(void* to, const void* from, std::size_t bytes, CopyDirection direction, void* stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (direction) {
    case CopyDirection::to_device:
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda_stream),
            "cudaMemcpyAsync to the device");
      return synchronise(stream);
    case CopyDirection::to_host:
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cuda_stream),
            "cudaMemcpyAsync to the host");
      return synchronise(stream);
    case CopyDirection::within_device:
      return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda_stream),
                   "cudaMemcpyAsync within the device");
  }
}

void* open_stream(int device_ordinal) {
  const CudaDevices found = cuda_devices();
  if (device_ordinal < 0 || device_ordinal >= found.count()) {
    throw CudaError(
        fmt::format("there is no CUDA device {} (this process sees {}{}{}); set run.device = cpu, or check "
                    "CUDA_VISIBLE_DEVICES and the driver",
                    device_ordinal, found.count(), found.why_none.empty() ? "" : ": ", found.why_none));
  }
  check(cudaSetDevice(device_ordinal), "cudaSetDevice");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void close_stream(void* stream) noexcept {
  log_failure(cudaStreamDestroy(static_cast<cudaStream_t>(stream)), "cudaStreamDestroy");
}

void synchronise(void* stream) {
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "cudaStreamSynchronize");
}

}  // namespace cuda
}  // namespace switchyard::device
