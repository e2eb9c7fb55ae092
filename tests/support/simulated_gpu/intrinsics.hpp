// A GPU of host threads: what src/device/cuda/block_team.cuh and launch.cuh use of CUDA. Include it before
// them, and put tests/support/simulated_gpu in front of the include path, so that kernels are started by the
// launch_kernel.hpp that lies there. Slow (a thread of the GPU is a thread of the host), and the only way to
// execute the teams of a GPU where there is none.
#pragma once

#include <barrier>
#include <cstddef>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __shared__

namespace simulated_gpu {

inline constexpr int warp_threads = 32;

struct Index {
  unsigned x = 0;
};

struct Warp {
  std::barrier<> barrier{warp_threads};
  double value[warp_threads] = {};  // what the lanes show each other; exact for float
};

struct Block {
  explicit Block(int threads) : barrier(threads) {
    for (int first = 0; first < threads; first += warp_threads) warps.push_back(std::make_unique<Warp>());
  }
  std::barrier<> barrier;
  std::vector<std::unique_ptr<Warp>> warps;
};

inline thread_local Block* block = nullptr;

}  // namespace simulated_gpu

inline thread_local simulated_gpu::Index threadIdx, blockIdx, blockDim, gridDim;

namespace simulated_gpu {
inline Warp& warp() { return *block->warps[threadIdx.x / warp_threads]; }
inline unsigned lane() { return threadIdx.x % warp_threads; }
}  // namespace simulated_gpu

inline void __syncthreads() { simulated_gpu::block->barrier.arrive_and_wait(); }
inline void __syncwarp() { simulated_gpu::warp().barrier.arrive_and_wait(); }

template <class T>
T __shfl_sync(unsigned /*mask*/, T value, int source_lane) {
  simulated_gpu::Warp& warp = simulated_gpu::warp();
  warp.value[simulated_gpu::lane()] = static_cast<double>(value);
  __syncwarp();
  const T shown = static_cast<T>(warp.value[source_lane]);
  __syncwarp();
  return shown;
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int offset) {
  return __shfl_sync(mask, value, static_cast<int>(simulated_gpu::lane()) ^ offset);
}
