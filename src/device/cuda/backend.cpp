#include "device/cuda/backend.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda/check.hpp"

namespace switchyard::device {

CudaDevices cuda_devices() {
  CudaDevices found;
  (void)cudaDriverGetVersion(&found.driver_version);
  (void)cudaRuntimeGetVersion(&found.runtime_version);
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    (void)cudaGetLastError();
    found.why_none = found.driver_version == 0 ? "this machine has no CUDA driver" : cudaGetErrorString(status);
  } else if (count == 0) {
    found.why_none = "the driver shows no device";
  }
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    cuda::check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    found.devices.push_back({.name = properties.name,
                             .compute_capability = 10 * properties.major + properties.minor,
                             .multiprocessors = properties.multiProcessorCount,
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

void* allocate_pinned(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMallocHost(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    throw OutOfMemory(
        fmt::format("cannot allocate {} bytes of pinned memory (the system refused); raise the limit on locked "
                    "memory (ulimit -l), or use fewer ranks per host or a smaller batch",
                    bytes));
  }
  check(status, "cudaMallocHost");
  return data;
}

void release_pinned(void* data) noexcept { log_failure(cudaFreeHost(data), "cudaFreeHost"); }

namespace {

cudaMemcpyKind kind_of(CopyDirection direction) {
  switch (direction) {
    case CopyDirection::to_device:
      return cudaMemcpyHostToDevice;
    case CopyDirection::to_host:
      return cudaMemcpyDeviceToHost;
    case CopyDirection::within_device:
      return cudaMemcpyDeviceToDevice;
  }
  return cudaMemcpyDefault;
}

// Our streams do not wait for the default stream, in which blocking calls run.
void wait_for_default_stream() { check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize"); }

}  // namespace

void zero(void* data, std::size_t bytes) {
  check(cudaMemset(data, 0, bytes), "cudaMemset");
  wait_for_default_stream();
}

void copy_now(void* to, const void* from, std::size_t bytes, CopyDirection direction) {
  check(cudaMemcpy(to, from, bytes, kind_of(direction)), "cudaMemcpy");
  wait_for_default_stream();
}

void copy_async(void* to, const void* from, std::size_t bytes, CopyDirection direction, void* stream) {
  check(cudaMemcpyAsync(to, from, bytes, kind_of(direction), static_cast<cudaStream_t>(stream)),
        "cudaMemcpyAsync");
}

void zero_async(void* data, std::size_t bytes, void* stream) {
  check(cudaMemsetAsync(data, 0, bytes, static_cast<cudaStream_t>(stream)), "cudaMemsetAsync");
}

CudaDevice select_device(int ordinal) {
  const CudaDevices found = cuda_devices();
  if (ordinal < 0 || ordinal >= found.count()) {
    throw CudaError(
        fmt::format("there is no CUDA device {} (this process sees {}{}{}); set run.device = cpu, or check "
                    "CUDA_VISIBLE_DEVICES and the driver",
                    ordinal, found.count(), found.why_none.empty() ? "" : ": ", found.why_none));
  }
  check(cudaSetDevice(ordinal), "cudaSetDevice");
  return found.devices[ordinal];
}

void* open_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void close_stream(void* stream) noexcept {
  log_failure(cudaStreamDestroy(static_cast<cudaStream_t>(stream)), "cudaStreamDestroy");
}

void* open_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return event;
}

void close_event(void* event) noexcept {
  log_failure(cudaEventDestroy(static_cast<cudaEvent_t>(event)), "cudaEventDestroy");
}

void record(void* event, void* stream) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(event), static_cast<cudaStream_t>(stream)), "cudaEventRecord");
}

void wait_for(void* stream, void* event) {
  check(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), static_cast<cudaEvent_t>(event), 0),
        "cudaStreamWaitEvent");
}

bool is_over(void* event) {
  const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(event));
  if (status == cudaErrorNotReady) {
    (void)cudaGetLastError();  // it is no failure, and would be reported as one later
    return false;
  }
  check(status, "cudaEventQuery");
  return true;
}

}  // namespace cuda
}  // namespace switchyard::device
