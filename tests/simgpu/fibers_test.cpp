// Threads of a block in any order: what a missing sync() does, and what is no order at all.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "simgpu/fixture.hpp"
#include "simgpu/planted_kernels.hpp"

namespace simgpu::test {
namespace {

using namespace switchyard::device::test;
using switchyard::index_t;

constexpr index_t warp_cols = 100;
constexpr index_t block_cols = 2000;
constexpr index_t rows = 11;  // more than warps in a block

class Fibers : public SimulatedDevice {
 protected:
  using Reverse = void (*)(cudaStream_t, const float*, float*, index_t, index_t);

  bool reverses(Reverse reverse, index_t cols, const KernelThreads& threads) {
    set_kernel_threads(threads);
    const cudaStream_t s = stream();
    std::vector<float> in(static_cast<std::size_t>(rows * cols)), expected(in.size());
    std::iota(in.begin(), in.end(), 0.0F);
    for (index_t row = 0; row < rows; ++row) {
      const auto begin = in.begin() + row * cols;
      std::reverse_copy(begin, begin + cols, expected.begin() + row * cols);
    }
    float* const from = device_floats(in.size());
    float* const to = device_floats(in.size());
    to_device(in, from);
    reverse(s, from, to, rows, cols);
    cudaStreamSynchronize(s);
    return on_host(to, in.size()) == expected;
  }
};

TEST_F(Fibers, give_the_result_of_one_thread) {
  for (const index_t cols : {index_t{1}, index_t{33}, warp_cols, block_cols}) {
    EXPECT_TRUE(reverses(reverse_rows, cols, {KernelThreads::Kind::serial})) << cols;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      EXPECT_TRUE(reverses(reverse_rows, cols, {KernelThreads::Kind::fibers, seed})) << cols;
    }
  }
}

TEST_F(Fibers, show_a_missing_sync_under_every_seed) {
  for (const index_t cols : {warp_cols, block_cols}) {
    EXPECT_TRUE(reverses(reverse_rows_without_sync, cols, {KernelThreads::Kind::serial})) << cols;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      EXPECT_FALSE(reverses(reverse_rows_without_sync, cols, {KernelThreads::Kind::fibers, seed}))
          << cols << " columns, seed " << seed;
    }
  }
}

TEST_F(Fibers, that_wait_for_others_that_never_come_are_counted) {
  set_kernel_threads({KernelThreads::Kind::fibers});
  const cudaStream_t s = stream();
  const auto run = [&](index_t scratch_bytes) {
    sync_by_one_thread(s, scratch_bytes);
    cudaStreamSynchronize(s);
  };
  const auto says = testing::ExitedWithCode(mistake_exit_code);
  EXPECT_EXIT(run(0), says, "deadlock in block 0 of SyncByOneThread: of 256 threads .* wait");
  EXPECT_EXIT(run(8192), says, "deadlock in block 0 of SyncByOneThread: of 256 threads .* wait for the block");
}

}  // namespace
}  // namespace simgpu::test
