// Starts single-source kernels on a GPU. Included by device/launch.hpp where device code is compiled.
#pragma once

#include <algorithm>
#include <type_traits>

#include "device/context.hpp"
#include "device/cuda/block_team.cuh"
#include "device/cuda/launch_kernel.hpp"

// Nothing else of an object of nvcc's is seen by others (src/cmake/room.cmake), so these are not inlined away.
#define SY_SEEN_BESIDE __attribute__((noinline, used))

namespace switchyard::device::cuda {
inline namespace with_nvcc {

inline constexpr index_t warps_per_block = block_threads / lane_count;
inline constexpr index_t most_blocks = index_t{1} << 20;  // kernels stride over what is left
// Rows with at most this much scratch (1,024 floats, or none) are short: a warp each, eight to a block, no
// barrier across the block. 32 KiB a block lets five blocks share a multiprocessor of sm_80. Longer rows get a
// block.
inline constexpr index_t warp_scratch_bytes = 4096;

// Scratch that is known when a kernel is compiled: it is then compiled for a block or for a warp, not for both.
template <class Functor>
concept HasConstantScratch = requires {
  typename std::integral_constant<index_t, Functor::scratch_bytes()>;
};

template <class Functor>
__global__ void run_elements(Functor f, index_t count) {
  const index_t stride = index_t{gridDim.x} * block_threads;
  for (index_t i = index_t{blockIdx.x} * block_threads + threadIdx.x; i < count; i += stride) f(i);
}

template <class Functor>
__global__ void run_rows_by_warp(Functor f, index_t rows, index_t scratch_bytes) {
  extern __shared__ std::byte shared_memory[];
  const index_t warp = threadIdx.x / lane_count;
  const WarpTeam team(shared_memory + warp * scratch_bytes);
  for (index_t row = blockIdx.x * warps_per_block + warp; row < rows; row += gridDim.x * warps_per_block) {
    f(team, row);
    team.sync();  // the next row reuses the scratch
  }
}

template <class Functor>
__global__ void run_rows_by_block(Functor f, index_t rows) {
  extern __shared__ std::byte shared_memory[];
  const BlockTeam team(shared_memory);
  for (index_t row = blockIdx.x; row < rows; row += gridDim.x) {
    f(team, row);
    team.sync();
  }
}

// f(i) for i in [0, count). Stream-ordered, as all launches: returns at once.
template <class Functor>
SY_SEEN_BESIDE void for_each(Context& context, index_t count, const Functor& f) {
  static_assert(std::is_trivially_copyable_v<Functor> && sizeof(Functor) <= largest_functor_bytes);
  if (count <= 0) return;
  ++context.counters().launches;
  const index_t blocks = std::min((count + block_threads - 1) / block_threads, most_blocks);
  launch_kernel(run_elements<Functor>, {blocks, block_threads, 0, context.stream()}, f, count);
}

template <class Functor>
void launch_rows_by_warp(Context& context, index_t rows, index_t scratch_bytes, const Functor& f) {
  const index_t blocks = std::min((rows + warps_per_block - 1) / warps_per_block, most_blocks);
  launch_kernel(run_rows_by_warp<Functor>,
                {blocks, block_threads, scratch_bytes * warps_per_block, context.stream()}, f, rows,
                scratch_bytes);
}
template <class Functor>
void launch_rows_by_block(Context& context, index_t rows, index_t scratch_bytes, const Functor& f) {
  launch_kernel(
      run_rows_by_block<Functor>,
      {std::min(rows, most_blocks), block_threads, BlockTeam::result_bytes + scratch_bytes, context.stream()},
      f, rows);
}

// f(team, row) for row in [0, rows).
template <class Functor>
SY_SEEN_BESIDE void for_each_row(Context& context, index_t rows, const Functor& f) {
  static_assert(std::is_trivially_copyable_v<Functor> && sizeof(Functor) <= largest_functor_bytes);
  if (rows <= 0) return;
  ++context.counters().launches;
  const index_t scratch_bytes = (scratch_bytes_of(f) + 15) / 16 * 16;
  if constexpr (HasConstantScratch<Functor>) {
    static_assert(Functor::scratch_bytes() > warp_scratch_bytes,
                  "a row for a warp says its scratch when it runs");
    launch_rows_by_block(context, rows, scratch_bytes, f);
  } else if (scratch_bytes <= warp_scratch_bytes) {
    launch_rows_by_warp(context, rows, scratch_bytes, f);
  } else {
    launch_rows_by_block(context, rows, scratch_bytes, f);
  }
}

}  // namespace with_nvcc
}  // namespace switchyard::device::cuda
