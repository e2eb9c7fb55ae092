// The CUDA backend of a build without CUDA.
#include "base/error.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {

CudaDevices cuda_devices() { return {.devices = {}, .why_none = "this build has no CUDA"}; }

namespace cuda {
namespace {

[[noreturn]] void not_built() {
  throw NotBuilt(
      "cannot use a CUDA device (this build has no CUDA); set run.device = cpu, or configure with the preset "
      "`cuda`");
}

}  // namespace

void* allocate(std::size_t) { not_built(); }
void release(void*) noexcept {}  // nothing was allocated
void zero(void*, std::size_t) { not_built(); }
void copy(void*, const void*, std::size_t, CopyDirection, void*) { not_built(); }
void* open_stream(int) { not_built(); }
void close_stream(void*) noexcept {}  // nothing was opened
void synchronise(void*) { not_built(); }

}  // namespace cuda
}  // namespace switchyard::device
