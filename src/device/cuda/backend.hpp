// What the device room needs of the CUDA runtime, without its types. backend.cpp implements it; in a build
// without CUDA not_built.cpp does, and says so.
#pragma once

#include <cstddef>
#include <string>

#include "base/span.hpp"

namespace switchyard::device {

struct CudaDevice {
  std::string name;
  int compute_capability = 0;  // 90 is 9.0
  std::size_t memory_bytes = 0;
};

// Which GPUs this process can use.
struct CudaDevices {
  Vector<CudaDevice> devices;  // by ordinal
  std::string why_none;        // set if there are none: not built, no driver, none visible
  int count() const { return static_cast<int>(devices.size()); }
};

// Never throws for want of a device or a driver.
CudaDevices cuda_devices();

namespace cuda {

enum class CopyDirection { to_device, to_host, within_device };

// Memory of the calling thread's current device. OutOfMemory with the sizes.
void* allocate(std::size_t bytes);
void release(void* data) noexcept;
// Done when it returns.
void zero(void* data, std::size_t bytes);

// Ordered after the work that the stream already holds. to_host and to_device are done when they return;
// within_device returns at once.
void copy(void* to, const void* from, std::size_t bytes, CopyDirection direction, void* stream);

// Makes `device_ordinal` the calling thread's current device and returns a new stream of it. CudaError, with
// the number of devices, if there is none of that ordinal.
void* open_stream(int device_ordinal);
void close_stream(void* stream) noexcept;
// Waits for all work of the stream; CudaError if any of it failed.
void synchronise(void* stream);

}  // namespace cuda
}  // namespace switchyard::device
