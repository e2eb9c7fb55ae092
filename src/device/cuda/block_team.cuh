// The teams of a GPU: a whole block, or one warp of a block, owns a row. See team.hpp for what a team promises.
//
// Bits: the 32 lanes of a warp are the 32 lanes of team.hpp, and the xor-shuffles are its butterfly, so sums
// and maxima equal SerialTeam's. Nothing here uses more of CUDA than threadIdx, blockDim, __syncthreads,
// __syncwarp and the two shuffles, which tests/simgpu/device_code.hpp gives to a compiler of the host.
#pragma once

#include <cstddef>

#include "device/team.hpp"

namespace switchyard::device::cuda {

inline constexpr unsigned all_lanes = 0xffffffffU;
inline constexpr int block_threads = 256;

// Called by all 32 threads of a warp; the result is the same on each.
template <class F>
__device__ auto warp_sum(index_t n, const F& f) {
  auto value = decltype(f(index_t{0})){0};
  for (index_t i = threadIdx.x % lane_count; i < n; i += lane_count) value += f(i);
  for (int offset = lane_count / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(all_lanes, value, offset);
  return value;
}
template <class F>
__device__ float warp_max(index_t n, const F& f) {
  float value = -__builtin_inff();
  for (index_t i = threadIdx.x % lane_count; i < n; i += lane_count) value = larger(value, f(i));
  for (int offset = lane_count / 2; offset > 0; offset /= 2) {
    value = larger(value, __shfl_xor_sync(all_lanes, value, offset));
  }
  return __shfl_sync(all_lanes, value, 0);  // lanes may differ in the sign of zero
}

// One warp owns the row; other warps of the block have rows of their own.
class WarpTeam {
 public:
  template <class T, int n>
  using Kept = KeptBySome<T, n, lane_count>;

  __device__ explicit WarpTeam(std::byte* scratch) : scratch_(scratch) {}

  template <class F>
  __device__ void for_each(index_t n, const F& f) const {
    for (index_t i = threadIdx.x % lane_count; i < n; i += lane_count) f(i);
  }
  template <class F>
  __device__ auto sum(index_t n, const F& f) const {
    sync();
    const auto result = warp_sum(n, f);
    sync();
    return result;
  }
  template <class F>
  __device__ float max(index_t n, const F& f) const {
    sync();
    const float result = warp_max(n, f);
    sync();
    return result;
  }
  __device__ void sync() const { __syncwarp(); }
  template <class T>
  __device__ T* scratch(index_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(scratch_ + offset_bytes);
  }
  template <class F>
  __device__ void once(const F& f) const {
    if (threadIdx.x % lane_count == 0) f();
  }

 private:
  std::byte* scratch_;
};

// A block owns the row. Its first warp computes sums and maxima; the result reaches the others through
// `result`.
class BlockTeam {
 public:
  template <class T, int n>
  using Kept = KeptBySome<T, n, block_threads>;

  static constexpr int result_bytes = 16;  // room for a double, and scratch behind it stays aligned

  // `shared`: result_bytes, then the functor's scratch.
  __device__ explicit BlockTeam(std::byte* shared) : shared_(shared) {}

  template <class F>
  __device__ void for_each(index_t n, const F& f) const {
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) f(i);
  }
  template <class F>
  __device__ auto sum(index_t n, const F& f) const {
    return by_first_warp<decltype(f(index_t{0}))>([&] { return warp_sum(n, f); });
  }
  template <class F>
  __device__ float max(index_t n, const F& f) const {
    return by_first_warp<float>([&] { return warp_max(n, f); });
  }
  __device__ void sync() const { __syncthreads(); }
  template <class T>
  __device__ T* scratch(index_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(shared_ + result_bytes + offset_bytes);
  }
  template <class F>
  __device__ void once(const F& f) const {
    if (threadIdx.x == 0) f();
  }

 private:
  // The sync in front also keeps a result in place until every thread has read the one before.
  template <class T, class Reduce>
  __device__ T by_first_warp(const Reduce& reduce) const {
    T* const result = reinterpret_cast<T*>(shared_);
    sync();
    if (threadIdx.x < lane_count) {
      const T value = reduce();
      if (threadIdx.x == 0) *result = value;
    }
    sync();
    return *result;
  }

  std::byte* shared_;
};

}  // namespace switchyard::device::cuda
