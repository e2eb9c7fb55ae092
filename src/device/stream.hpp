// The queue of work of a GPU.
#pragma once

#include "base/unique_handle.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {

// A cudaStream_t, as void* so that only cuda/ sees CUDA's headers. Null on a CPU.
struct StreamTraits {
  using Handle = void*;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle stream) noexcept { cuda::close_stream(stream); }
};
using Stream = UniqueHandle<StreamTraits>;

}  // namespace switchyard::device
