// Kernels, right and wrong, for the tests of the simulated device. Each goes into a stream; pointers are device
// memory.
#pragma once

#include <cuda_runtime_api.h>

#include "base/ids.hpp"

namespace switchyard::device::test {

void set_all(cudaStream_t stream, float* x, index_t count, float value);
// to[i] = from[i] + 1
void add_one(cudaStream_t stream, const float* from, float* to, index_t count);

// Each row reversed through scratch, with and without the sync() between writing and reading. Short rows belong
// to a warp, those of more than 1,024 columns to a block.
void reverse_rows(cudaStream_t stream, const float* from, float* to, index_t rows, index_t cols);
void reverse_rows_without_sync(cudaStream_t stream, const float* from, float* to, index_t rows, index_t cols);
// One thread waits for the others, which do not come.
void sync_by_one_thread(cudaStream_t stream, index_t scratch_bytes);
// Writes one float behind its scratch.
void write_behind_scratch(cudaStream_t stream, index_t scratch_bytes);
// Follows a pointer that lies in device memory.
void follow_pointer(cudaStream_t stream, float* const* pointer);
// 256 threads in one block, with this much shared memory and no opt-in.
cudaError_t launch_with_shared_memory(cudaStream_t stream, float* x, std::size_t bytes);

}  // namespace switchyard::device::test
