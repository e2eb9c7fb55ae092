// Takes the place of src/device/cuda/launch_kernel.hpp: runs a kernel with host threads, one block after the
// other.
#pragma once

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/thread.hpp"
#include "device/cuda/launch_shape.hpp"
#include "simulated_gpu/intrinsics.hpp"

namespace switchyard::device::cuda {

// The dynamic shared memory of the one block that runs: what kernels declare `extern __shared__`. The most that
// a block can have on sm_90.
alignas(16) inline std::byte shared_memory[227 << 10];

// Returns when the kernel has ended. std::logic_error if it wrote past its shared memory, or asked for too
// much.
template <class... Parameters>
void launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape,
                   std::type_identity_t<Parameters>... arguments) {
  constexpr std::byte unwritten{0xff};  // a NaN, if read as a number
  const auto shared_bytes = static_cast<std::size_t>(shape.shared_bytes);
  if (shared_bytes > sizeof(shared_memory))
    throw std::logic_error("the launch asks for more shared memory than sm_90 has");
  std::memset(shared_memory, static_cast<int>(unwritten), sizeof(shared_memory));
  simulated_gpu::Block block(shape.threads_per_block);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < shape.threads_per_block; ++rank) {
      threads.emplace_back([&, rank] {
        flush_denormals_to_zero();
        simulated_gpu::block = &block;
        threadIdx.x = static_cast<unsigned>(rank);
        blockDim.x = static_cast<unsigned>(shape.threads_per_block);
        gridDim.x = static_cast<unsigned>(shape.blocks);
        for (index_t b = 0; b < shape.blocks; ++b) {
          blockIdx.x = static_cast<unsigned>(b);
          kernel(arguments...);
          __syncthreads();
        }
      });
    }
  }
  for (std::size_t i = shared_bytes; i < sizeof(shared_memory); ++i) {
    if (shared_memory[i] != unwritten) throw std::logic_error("the kernel wrote past its shared memory");
  }
}

}  // namespace switchyard::device::cuda
