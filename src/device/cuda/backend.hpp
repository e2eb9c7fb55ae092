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
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
};

// Which GPUs this process can use.
struct CudaDevices {
  Vector<CudaDevice> devices;  // by ordinal
  std::string why_none;        // set if there are none: not built, no driver, none visible
  int driver_version = 0;      // of CUDA that the driver speaks: 13000 is 13.0; 0: there is none
  int runtime_version = 0;     // that this program was built with
  int count() const { return static_cast<int>(devices.size()); }
};

// Never throws for want of a device or a driver.
CudaDevices cuda_devices();

namespace cuda {

enum class CopyDirection { to_device, to_host, within_device };

// Memory of the calling thread's current device; and of the host, that it copies from and to while the host
// goes on. OutOfMemory with the sizes.
void* allocate(std::size_t bytes);
void release(void* data) noexcept;
void* allocate_pinned(std::size_t bytes);
void release_pinned(void* data) noexcept;
// Done when they return.
void zero(void* data, std::size_t bytes);
void copy_now(void* to, const void* from, std::size_t bytes, CopyDirection direction);

// Ordered after the work that the stream already holds; returns at once. The host's side is pinned, or the copy
// may be done when it returns.
void copy_async(void* to, const void* from, std::size_t bytes, CopyDirection direction, void* stream);
void zero_async(void* data, std::size_t bytes, void* stream);

// Makes `ordinal` the calling thread's current device, and says what it is. CudaError, with the number of
// devices, if there is none of that ordinal.
CudaDevice select_device(int ordinal);

// Of the current device.
void* open_stream();
void close_stream(void* stream) noexcept;
void* open_event();
void close_event(void* event) noexcept;
void record(void* event, void* stream);
void wait_for(void* stream, void* event);
// CudaError if any of the work before it failed.
bool is_over(void* event);

// For a profiler: what the calling thread enqueues from here on is part of `name`, and no longer of the one
// before.
void mark_range(const char* name);

}  // namespace cuda
}  // namespace switchyard::device
