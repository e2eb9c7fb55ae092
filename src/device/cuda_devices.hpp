// Which GPUs this process can use.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/span.hpp"

namespace switchyard::device {

struct CudaDevice {
  std::string name;
  int compute_capability = 0;  // 90 is 9.0
  std::size_t memory_bytes = 0;
};

struct CudaDevices {
  Vector<CudaDevice> devices;  // by ordinal
  std::string why_none;        // set if there are none: not built, no driver, none visible
  int count() const { return static_cast<int>(devices.size()); }
};

// Never throws for want of a device or a driver.
CudaDevices cuda_devices();

}  // namespace switchyard::device
