// Memory and copies of the CUDA runtime.
#include <cuda_runtime_api.h>

#include "simgpu/copies.hpp"
#include "simgpu/current.hpp"
#include "simgpu/device.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/streams.hpp"

namespace {

using namespace simgpu;

cudaError_t allocate(void** data, std::size_t bytes, MemoryKind kind) {
  *data = nullptr;
  if (bytes == 0) return cudaSuccess;
  const std::scoped_lock lock(device_lock());
  *data = Memory::instance().allocate(kind, bytes, current_device());
  return *data == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t result_of_work() { return remember(static_cast<cudaError_t>(lost_code())); }

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  if (const cudaError_t error = begin("cudaMalloc", cudaErrorMemoryAllocation)) return remember(error);
  return remember(allocate(data, bytes, MemoryKind::device));
}

// As the real one, it waits for all work of the device.
cudaError_t cudaFree(void* data) {
  if (const cudaError_t error = begin("cudaFree")) return remember(error);
  if (data == nullptr) return cudaSuccess;
  run_all();
  const std::scoped_lock lock(device_lock());
  Memory::instance().release(MemoryKind::device, data, "cudaFree");
  return result_of_work();
}

cudaError_t cudaMallocHost(void** data, std::size_t bytes) {
  if (const cudaError_t error = begin("cudaMallocHost", cudaErrorMemoryAllocation)) return remember(error);
  return remember(allocate(data, bytes, MemoryKind::pinned));
}

// Waits for nothing: the real one may, and a program that counts on it is wrong.
cudaError_t cudaFreeHost(void* data) {
  if (const cudaError_t error = begin("cudaFreeHost")) return remember(error);
  if (data == nullptr) return cudaSuccess;
  const std::scoped_lock lock(device_lock());
  Memory::instance().release(MemoryKind::pinned, data, "cudaFreeHost");
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  if (const cudaError_t error = begin("cudaMemGetInfo")) return remember(error);
  const std::scoped_lock lock(device_lock());
  const Memory& memory = Memory::instance();
  *total_bytes = memory.total_bytes();
  *free_bytes = memory.total_bytes() - memory.used_bytes(current_device());
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const cudaError_t error = begin("cudaMemcpyAsync")) return remember(error);
  copy(to, from, bytes, kind, stream, Wait::never, "cudaMemcpyAsync");
  return result_of_work();
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, enum cudaMemcpyKind kind) {
  if (const cudaError_t error = begin("cudaMemcpy")) return remember(error);
  copy(to, from, bytes, kind, nullptr, Wait::always, "cudaMemcpy");
  return result_of_work();
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (const cudaError_t error = begin("cudaMemsetAsync")) return remember(error);
  fill(to, value, bytes, stream, "cudaMemsetAsync");
  return cudaSuccess;
}

// Of device memory: does not wait.
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  if (const cudaError_t error = begin("cudaMemset")) return remember(error);
  fill(to, value, bytes, nullptr, "cudaMemset");
  return cudaSuccess;
}

}  // extern "C"
