// Runs a kernel on the device of a Context. The only place that starts kernels.
//
// A file that launches is named under KERNELS in its room's CMakeLists.txt. A build for GPUs compiles it twice:
// nvcc (SY_DEVICE_CODE) for the launches on a GPU, the compiler of the host (SY_DEVICE_CODE_BESIDE) for all
// else. tests/simgpu compiles both at once, with the compiler of the host (SY_DEVICE_CODE). In any other file
// these functions know the CPU only, and refuse a CUDA context. The kinds differ in namespace, so that the
// linker never takes one for the other.
#pragma once

#include <algorithm>

#include "device/context.hpp"
#include "device/cpu/concurrent_team.hpp"
#include "device/team.hpp"
#include "device/thread_pool.hpp"
#if defined(SY_DEVICE_CODE)
#include "device/cuda/launch.cuh"
#elif defined(SY_DEVICE_CODE_BESIDE)
#include "device/cuda/launch_beside.hpp"
#endif

namespace switchyard::device {

[[noreturn]] void no_device_code();

namespace cpu {
// Of the calling thread, kept for the life of the thread: at least `bytes` bytes, 64-byte aligned, contents
// undefined. Grows, never shrinks: a warm step allocates nothing.
std::byte* thread_scratch(index_t bytes);
}  // namespace cpu

#if defined(SY_DEVICE_CODE)
inline namespace with_device_code {
#elif defined(SY_DEVICE_CODE_BESIDE)
inline namespace device_code_beside {
#else
inline namespace host_code_only {
#endif

// f(i) for i in [0, count): elementwise, no order.
template <class Functor>
void for_each(Context& context, index_t count, const Functor& f) {
  if (context.device() == DeviceKind::cuda) {
#if defined(SY_DEVICE_CODE) || defined(SY_DEVICE_CODE_BESIDE)
    return cuda::for_each(context, count, f);
#else
    no_device_code();
#endif
  }
#if !defined(__CUDACC__)
  constexpr index_t piece = 8192;  // 32 KiB of float: a few microseconds of work
  context.pool().parallel_for((count + piece - 1) / piece, [&](index_t p) {
    const index_t end = std::min(count, (p + 1) * piece);
    for (index_t i = p * piece; i < end; ++i) f(i);
  });
#endif
}

// f(team, row) for row in [0, rows); see team.hpp for the shape of f.
template <class Functor>
void for_each_row(Context& context, index_t rows, const Functor& f) {
  if (context.device() == DeviceKind::cuda) {
#if defined(SY_DEVICE_CODE) || defined(SY_DEVICE_CODE_BESIDE)
    return cuda::for_each_row(context, rows, f);
#else
    no_device_code();
#endif
  }
#if !defined(__CUDACC__)
  if (context.executor() == CpuExecutor::concurrent_team) {
    return cpu::run_with_concurrent_team(context.team_size(), rows, f);
  }
  constexpr index_t pieces_per_thread = 4;
  const index_t pieces = std::min<index_t>(rows, context.pool().size() * pieces_per_thread);
  context.pool().parallel_for(pieces, [&](index_t p) {
    const SerialTeam team(cpu::thread_scratch(scratch_bytes_of(f)));
    for (index_t row = rows * p / pieces; row < rows * (p + 1) / pieces; ++row) f(team, row);
  });
#endif
}

}  // inline namespace
}  // namespace switchyard::device
