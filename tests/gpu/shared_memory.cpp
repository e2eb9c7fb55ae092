// Linked into tests that give a GPU arrays of the host, and read results without a wait.
//
// Where the GPU cannot read all memory of the process, what C++ and aligned_alloc() allocate comes from one
// block that it can. What is enqueued is done when the call returns. CMake's --wrap puts these functions in the
// place of those they are named after.
#include <cuda_runtime_api.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>

extern "C" {
void* __real_aligned_alloc(std::size_t alignment, std::size_t bytes);
void __real_free(void* data);
cudaError_t __real_cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void*, void**);
cudaError_t __real_cudaMemcpyAsync(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t);
cudaError_t __real_cudaMemsetAsync(void*, int, std::size_t, cudaStream_t);
}

namespace {

constexpr std::size_t block_bytes = std::size_t{4} << 30;
constexpr std::size_t unit = 256;
constexpr std::size_t units = block_bytes / unit;

// Of the piece that begins with a unit: its size is two to the power of this; and one more than the next free
// one. Apart from the memory itself, which is gone when the last destructors run.
std::array<unsigned char, units> power_of;
std::array<std::uint32_t, units> next_of;

// Pieces of powers of two, each at a multiple of its size; those that were given back are used again.
class SharedBlock {
 public:
  // Stays empty where all memory of the process will do, and without a GPU.
  SharedBlock() {
    int reads_all = 0;
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return;
    if (cudaDeviceGetAttribute(&reads_all, cudaDevAttrPageableMemoryAccess, 0) != cudaSuccess || reads_all != 0)
      return;
    void* data = nullptr;
    const cudaError_t status = cudaMallocManaged(&data, block_bytes, cudaMemAttachGlobal);
    if (status != cudaSuccess) {
      std::fprintf(stderr, "cudaMallocManaged of %zu bytes failed (%s)\n", block_bytes,
                   cudaGetErrorString(status));
      std::abort();
    }
    begin_ = reinterpret_cast<std::uintptr_t>(data);
  }

  // Null if it is empty, or full.
  void* allocate(std::size_t bytes) {
    if (begin_ == 0) return nullptr;
    const std::size_t size = std::bit_ceil(bytes < unit ? unit : bytes);
    const auto power = static_cast<std::size_t>(std::countr_zero(size));
    const std::lock_guard lock(mutex_);
    std::size_t first = free_[power];
    if (first != 0) {
      free_[power] = next_of[--first];
    } else {
      const std::uintptr_t place = (begin_ + used_ + size - 1) / size * size - begin_;
      if (place + size > block_bytes) return nullptr;
      used_ = place + size;
      first = place / unit;
      power_of[first] = static_cast<unsigned char>(power);
    }
    return reinterpret_cast<void*>(begin_ + first * unit);
  }
  // Whether it was of this block.
  bool release(void* data) {
    const std::uintptr_t place = reinterpret_cast<std::uintptr_t>(data) - begin_;
    if (begin_ == 0 || place >= block_bytes) return false;
    const std::lock_guard lock(mutex_);
    std::uint32_t& newest = free_[power_of[place / unit]];
    next_of[place / unit] = newest;
    newest = static_cast<std::uint32_t>(place / unit + 1);
    return true;
  }

 private:
  std::uintptr_t begin_ = 0;
  std::size_t used_ = 0;
  std::mutex mutex_;
  std::array<std::uint32_t, 64> free_{};
};
SharedBlock block;

void* allocate(std::size_t alignment, std::size_t bytes) {
  if (void* const data = block.allocate(bytes < alignment ? alignment : bytes)) return data;
  void* const data = __real_aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

cudaError_t done(cudaError_t status, cudaStream_t stream) {
  return status == cudaSuccess ? cudaStreamSynchronize(stream) : status;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return allocate(__STDCPP_DEFAULT_NEW_ALIGNMENT__, bytes == 0 ? 1 : bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(static_cast<std::size_t>(alignment), bytes == 0 ? 1 : bytes);
}
void operator delete(void* data) noexcept {
  if (!block.release(data)) __real_free(data);
}
void operator delete(void* data, std::size_t) noexcept { operator delete(data); }
void operator delete(void* data, std::align_val_t) noexcept { operator delete(data); }
void operator delete(void* data, std::size_t, std::align_val_t) noexcept { operator delete(data); }

extern "C" {
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t bytes) {
  void* const data = block.allocate(bytes < alignment ? alignment : bytes);
  return data != nullptr ? data : __real_aligned_alloc(alignment, bytes);
}
void __wrap_free(void* data) {
  if (!block.release(data)) __real_free(data);
}

cudaError_t __wrap_cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void** arguments) {
  return done(__real_cudaLaunchKernelExC(config, kernel, arguments), config->stream);
}
cudaError_t __wrap_cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream) {
  return done(__real_cudaMemcpyAsync(to, from, bytes, kind, stream), stream);
}
cudaError_t __wrap_cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  return done(__real_cudaMemsetAsync(data, value, bytes, stream), stream);
}
}
