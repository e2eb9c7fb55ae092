// Copies and fills, of which each end may lie in device, pinned or pageable memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace simgpu {

enum class Wait { never, always };

// Issues a copy. It waits for the copy where CUDA does: to and from pageable memory that the device would have
// to reach itself, or if asked to. A mistake if an end lies in other memory than `kind` says, or not in one
// allocation.
void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream, Wait wait,
          const char* call);

void fill(void* to, int value, std::size_t bytes, cudaStream_t stream, const char* call);

}  // namespace simgpu
