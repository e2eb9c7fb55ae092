#include "simgpu/current.hpp"

#include "simgpu/device.hpp"
#include "simgpu/faults.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/settings.hpp"

namespace simgpu {
namespace {

thread_local int device = 0;
thread_local cudaError_t last = cudaSuccess;

}  // namespace

int current_device() { return device; }
void set_current_device(int ordinal) { device = ordinal; }

cudaError_t last_error() { return last; }
void clear_last_error() { last = cudaSuccess; }

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

cudaError_t begin(std::string_view call, cudaError_t planned) {
  if (const auto code = enter(call, planned)) return static_cast<cudaError_t>(*code);
  if (settings().driver == Driver::missing) return cudaErrorInsufficientDriver;
  if (settings().driver == Driver::without_devices) return cudaErrorNoDevice;
  return static_cast<cudaError_t>(lost_code());
}

}  // namespace simgpu
