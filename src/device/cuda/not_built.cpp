// The CUDA backend of a build without CUDA.
#include "base/error.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {

CudaDevices cuda_devices() { return {.devices = {}, .why_none = "this build has no CUDA"}; }

namespace cuda {
namespace {

[[noreturn]] void not_built() {
  throw NotBuilt(
      "cannot use a CUDA device (this build has no CUDA); set run.device = cpu, or configure with "
      "SWITCHYARD_CUDA=ON");
}

}  // namespace

// Without a context of a GPU there is none of its memory, streams and events.
void* allocate(std::size_t) { not_built(); }
void release(void*) noexcept {}
void* allocate_pinned(std::size_t) { not_built(); }
void release_pinned(void*) noexcept {}
void zero(void*, std::size_t) { not_built(); }
void copy_now(void*, const void*, std::size_t, CopyDirection) { not_built(); }
void copy_async(void*, const void*, std::size_t, CopyDirection, void*) { not_built(); }
void zero_async(void*, std::size_t, void*) { not_built(); }
CudaDevice select_device(int) { not_built(); }
void* open_stream() { not_built(); }
void close_stream(void*) noexcept {}
void* open_event() { not_built(); }
void close_event(void*) noexcept {}
void record(void*, void*) { not_built(); }
void wait_for(void*, void*) { not_built(); }
bool is_over(void*) { not_built(); }
void mark_range(const char*) {}

}  // namespace cuda
}  // namespace switchyard::device
