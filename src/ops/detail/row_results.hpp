// One small result per row of a kernel, for the host.
#pragma once

#include "base/span.hpp"
#include "device/buffer.hpp"
#include "device/copy.hpp"

namespace switchyard::ops::detail {

// Grows only, so that a warm op allocates nothing. An op keeps one per thread, since tasks of a pool may run
// the same op on different data at the same time.
template <class T>
class RowResults {
 public:
  // Where a kernel writes, on the context's device.
  T* places(device::Context& context, index_t count) {
    if (count > device_.count() || context.memory() != device_.memory()) {
      device_ = device::Buffer<T>(count, context.memory());
      if (context.memory() == device::MemoryKind::device) host_ = device::Buffer<T>(count);
    }
    return device_.data();
  }
  // The first `count` results, once the kernels launched before are done.
  Span<const T> read(device::Context& context, index_t count) {
    if (context.memory() != device::MemoryKind::device) return device_.span().first(count);
    device::copy_to_host<T>(context, device_.span().first(count), host_.span().first(count));
    return host_.span().first(count);
  }

 private:
  device::Buffer<T> device_;
  device::Buffer<T> host_;  // empty where the device is the host
};

}  // namespace switchyard::ops::detail
