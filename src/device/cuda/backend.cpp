#include "device/cuda/backend.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include <mutex>
#include <unordered_map>

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
    const std::string met = cuda::describe(status, "cudaGetDeviceCount");
    found.why_none = found.driver_version == 0 ? "this machine has no CUDA driver: " + met : met;
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
namespace {

// What this process holds, for the sentence of the allocation that does not fit.
class Holdings {
 public:
  void add(void* data, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_of_.emplace(data, bytes);
    total_ += bytes;
  }
  void remove(void* data) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = bytes_of_.find(data);
    if (found == bytes_of_.end()) return;
    total_ -= found->second;
    bytes_of_.erase(found);
  }
  std::size_t total() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<void*, std::size_t> bytes_of_;
  std::size_t total_ = 0;
};

Holdings& on_device() {
  static Holdings& all = *new Holdings;  // outlives every owner of memory
  return all;
}
Holdings& pinned() {
  static Holdings& all = *new Holdings;
  return all;
}

std::string mebibytes(std::size_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

[[noreturn]] void throw_out_of_memory(std::size_t bytes) {
  (void)cudaGetLastError();
  const std::size_t held = on_device().total();
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  const bool is_known = cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess;
  (void)cudaGetLastError();
  const std::string room =
      is_known ? fmt::format("{} of its {} are free", mebibytes(free_bytes), mebibytes(total_bytes))
               : "how much is free it does not say";
  throw OutOfMemory(fmt::format(
      "cannot allocate {} bytes on the GPU (this rank holds {} there and needs at least {}; {}); use a smaller "
      "train.batch_size, more train.parts, more GPUs with a rank each or a smaller model, and keep "
      "other programs off the GPU; `switchyard plan` shows what a rank holds",
      bytes, mebibytes(held), mebibytes(held + bytes), room));
}

}  // namespace

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) throw_out_of_memory(bytes);
  check(status, "cudaMalloc");
  on_device().add(data, bytes);
  return data;
}

void release(void* data) noexcept {
  if (!may_release()) return;
  on_device().remove(data);
  log_failure(cudaFree(data), "cudaFree");
}

void* allocate_pinned(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMallocHost(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    throw OutOfMemory(
        fmt::format("cannot allocate {} bytes of pinned memory (the system refused; this rank holds {} of it); "
                    "raise the limit on locked memory (ulimit -l), or use fewer ranks per host, a smaller "
                    "train.batch_size or more train.parts",
                    bytes, mebibytes(pinned().total())));
  }
  check(status, "cudaMallocHost");
  pinned().add(data, bytes);
  return data;
}

void release_pinned(void* data) noexcept {
  if (!may_release()) return;
  pinned().remove(data);
  log_failure(cudaFreeHost(data), "cudaFreeHost");
}

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
  forget_failures();
  return found.devices[ordinal];
}

void* open_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  note_stream(stream);
  return stream;
}

void close_stream(void* stream) noexcept {
  if (!may_release()) return;
  forget_stream(static_cast<cudaStream_t>(stream));
  log_failure(cudaStreamDestroy(static_cast<cudaStream_t>(stream)), "cudaStreamDestroy");
}

void* open_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return event;
}

void close_event(void* event) noexcept {
  if (may_release()) log_failure(cudaEventDestroy(static_cast<cudaEvent_t>(event)), "cudaEventDestroy");
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

void mark_range(const char* name) {
  static thread_local bool is_open = false;
  if (is_open) nvtxRangePop();
  nvtxRangePushA(name);
  is_open = true;
}

}  // namespace cuda
}  // namespace switchyard::device
