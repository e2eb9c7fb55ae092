#include "simgpu/planted_kernels.hpp"

#include <algorithm>

#include "device/launch.hpp"

namespace switchyard::device::test {
namespace {

struct SetAll {
  float* x;
  float value;
  void operator()(index_t i) const { x[i] = value; }
};

struct AddOne {
  const float* from;
  float* to;
  void operator()(index_t i) const { to[i] = from[i] + 1.0F; }
};

template <bool with_sync>
struct ReverseRows {
  const float* from;
  float* to;
  index_t cols;
  index_t scratch_bytes() const { return cols * static_cast<index_t>(sizeof(float)); }
  void operator()(const auto& team, index_t row) const {
    auto* const kept = team.template scratch<float>();
    team.for_each(cols, [&](index_t i) { kept[i] = from[row * cols + i]; });
    if (with_sync) team.sync();
    team.for_each(cols, [&](index_t i) { to[row * cols + i] = kept[cols - 1 - i]; });
  }
};

struct SyncByOneThread {
  index_t scratch;
  index_t scratch_bytes() const { return scratch; }
  void operator()(const auto& team, index_t /*row*/) const {
    team.once([&] { team.sync(); });
  }
};

struct WriteBehindScratch {
  index_t scratch;
  index_t scratch_bytes() const { return scratch; }
  void operator()(const auto& team, index_t /*row*/) const {
    team.once([&] { *team.template scratch<float>(scratch) = 1.0F; });
  }
};

struct FollowPointer {
  float* const* pointer;
  void operator()(index_t /*i*/) const { **pointer = 1.0F; }
};

template <class Functor>
void run_elements_in(cudaStream_t stream, index_t count, const Functor& f) {
  const index_t blocks = (count + cuda::block_threads - 1) / cuda::block_threads;
  cuda::launch_kernel(cuda::run_elements<Functor>, {blocks, cuda::block_threads, 0, stream}, f, count);
}

// As cuda::for_each_row, in a stream of its own choice.
template <class Functor>
void run_rows_in(cudaStream_t stream, index_t rows, const Functor& f) {
  const index_t bytes = f.scratch_bytes();
  if (bytes <= cuda::warp_scratch_bytes) {
    const index_t blocks = (rows + cuda::warps_per_block - 1) / cuda::warps_per_block;
    cuda::launch_kernel(cuda::run_rows_by_warp<Functor>,
                        {blocks, cuda::block_threads, bytes * cuda::warps_per_block, stream}, f, rows, bytes);
  } else {
    cuda::launch_kernel(cuda::run_rows_by_block<Functor>,
                        {rows, cuda::block_threads, cuda::BlockTeam::result_bytes + bytes, stream}, f, rows);
  }
}

}  // namespace

void set_all(cudaStream_t stream, float* x, index_t count, float value) {
  run_elements_in(stream, count, SetAll{x, value});
}

void add_one(cudaStream_t stream, const float* from, float* to, index_t count) {
  run_elements_in(stream, count, AddOne{from, to});
}

void reverse_rows(cudaStream_t stream, const float* from, float* to, index_t rows, index_t cols) {
  run_rows_in(stream, rows, ReverseRows<true>{from, to, cols});
}

void reverse_rows_without_sync(cudaStream_t stream, const float* from, float* to, index_t rows, index_t cols) {
  run_rows_in(stream, rows, ReverseRows<false>{from, to, cols});
}

void sync_by_one_thread(cudaStream_t stream, index_t scratch_bytes) {
  run_rows_in(stream, 1, SyncByOneThread{scratch_bytes});
}

void write_behind_scratch(cudaStream_t stream, index_t scratch_bytes) {
  run_rows_in(stream, 1, WriteBehindScratch{scratch_bytes});
}

void follow_pointer(cudaStream_t stream, float* const* pointer) {
  run_elements_in(stream, 1, FollowPointer{pointer});
}

cudaError_t launch_with_shared_memory(cudaStream_t stream, float* x, std::size_t bytes) {
  const auto kernel = cuda::run_elements<SetAll>;
  simgpu::know_kernel(kernel);
  SetAll f{x, 1.0F};
  index_t count = 1;
  void* arguments[] = {&f, &count};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(1);
  config.blockDim = dim3(cuda::block_threads);
  config.dynamicSmemBytes = bytes;
  config.stream = stream;
  return cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), arguments);
}

}  // namespace switchyard::device::test
