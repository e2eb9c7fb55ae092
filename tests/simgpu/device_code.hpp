// What nvcc adds to a file with device code, for the compiler of the host: it is included before anything else
// in the objects of the simulated device. All that src/device/cuda/*.cuh uses of CUDA's language is here.
//
// A block runs as fibers: a thread of the device runs until it waits for others. So nothing here is a thread of
// the host, and of one block at a time there is one copy of everything.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simgpu/kernel.hpp"

#define __global__
#define __device__
#define __host__
// Only `extern __shared__`, the dynamic shared memory: a plain compiler cannot share a local array.
#define __shared__

namespace simgpu {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

enum class Meeting { block, warp, shuffle };
// Goes on when all threads of the block, or of the warp, have come to a meeting of this kind.
void meet(Meeting meeting);
// What the lane `source` of the same warp gave in the same call.
std::uint64_t shuffle(std::uint64_t bits, unsigned source, std::uint32_t mask);

inline constexpr unsigned warp_threads = 32;

}  // namespace simgpu

// Of the thread that runs, with CUDA's names.
extern simgpu::Index3 threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { simgpu::meet(simgpu::Meeting::block); }
inline void __syncwarp() { simgpu::meet(simgpu::Meeting::warp); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = simgpu::shuffle(bits, static_cast<unsigned>(source), mask);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int offset) {
  const unsigned lane = threadIdx.x % simgpu::warp_threads;
  return __shfl_sync(mask, value, static_cast<int>(lane ^ static_cast<unsigned>(offset)));
}
