// Mistakes that a program can make, planted: the simulated device must name each. The children of these tests
// end with mistake_exit_code.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "simgpu/fixture.hpp"
#include "simgpu/planted_kernels.hpp"

namespace simgpu::test {
namespace {

using namespace switchyard::device::test;
using switchyard::index_t;

const auto says = testing::ExitedWithCode(mistake_exit_code);

class Mistakes : public SimulatedDevice {};

TEST_F(Mistakes, of_none_there_is_no_word) {
  const cudaStream_t s = stream();
  float* const x = device_floats(100);
  set_all(s, x, 100, 3.0F);
  EXPECT_EQ(cudaStreamSynchronize(s), cudaSuccess);
  EXPECT_EQ(on_host(x, 100), std::vector<float>(100, 3.0F));
}

TEST_F(Mistakes, host_read_of_device_memory) {
  volatile const float* const x = device_floats(10);
  EXPECT_EXIT((void)x[2], says, "host read of device memory: byte 8 of 40 bytes of cudaMalloc, its call 1");
}

TEST_F(Mistakes, host_write_of_device_memory) {
  float* const x = device_floats(10);
  EXPECT_EXIT(*static_cast<volatile float*>(x) = 1, says, "host write of device memory: byte 0 of 40 bytes");
}

TEST_F(Mistakes, host_pointer_in_a_kernel_argument) {
  const cudaStream_t s = stream();
  float* const x = device_floats(4);
  std::vector<float> heap(4);
  float on_stack[4] = {};
  static float data[4] = {};
  const std::string sentence = "host pointer in a kernel argument .word 0 of AddOne.";
  EXPECT_EXIT(add_one(s, heap.data(), x, 4), says, sentence);
  EXPECT_EXIT(add_one(s, on_stack, x, 4), says, sentence);
  EXPECT_EXIT(add_one(s, data, x, 4), says, sentence);
  EXPECT_EXIT(add_one(s, x, heap.data(), 4), says, "word 1 of AddOne");
  EXPECT_EXIT(add_one(s, pinned_floats(4).data(), x, 4), says, "of pinned memory");
}

TEST_F(Mistakes, host_pointers_may_be_allowed) {
  allow_host_pointers(true);
  const cudaStream_t s = stream();
  const std::vector<float> from(4, 1.0F);
  std::vector<float> to(4);
  add_one(s, from.data(), to.data(), 4);
  EXPECT_EQ(cudaStreamSynchronize(s), cudaSuccess);
  EXPECT_EQ(to, std::vector<float>(4, 2.0F));
}

TEST_F(Mistakes, pointer_in_device_memory) {
  const cudaStream_t s = stream();
  float* const x = device_floats(4);
  auto* const table = reinterpret_cast<float**>(device_floats(2));
  EXPECT_EQ(cudaMemcpy(table, &x, sizeof(x), cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EXIT(
      {
        follow_pointer(s, table);
        cudaStreamSynchronize(s);
      },
      says, "FollowPointer: write through a device pointer that is not in its arguments");
}

// Behind 280 bytes the page has room for 232 more, which are the canary's.
TEST_F(Mistakes, overrun_by_a_kernel) {
  const cudaStream_t s = stream();
  float* const x = device_floats(70);
  const auto write = [&](index_t count) {
    set_all(s, x, count, 1.0F);
    cudaStreamSynchronize(s);
  };
  EXPECT_EXIT(write(71), says,
              "SetAll: overrun, 1 bytes behind the end of 280 bytes of cudaMalloc, its call 1");
  EXPECT_EXIT(write(1000), says, "SetAll: write outside of what is allocated");
}

TEST_F(Mistakes, overrun_by_a_copy) {
  float* const x = device_floats(70);
  const std::vector<float> from(71);
  EXPECT_EXIT(to_device(from, x), says, "cudaMemcpy: overrun, 284 bytes where 280 are left of 280 bytes");
  EXPECT_EXIT(cudaMemset(x + 1, 0, 280), says, "cudaMemset: overrun");
}

TEST_F(Mistakes, overrun_of_shared_memory) {
  const cudaStream_t s = stream();
  set_kernel_threads({KernelThreads::Kind::fibers});
  EXPECT_EXIT(
      {
        write_behind_scratch(s, 8192);
        cudaStreamSynchronize(s);
      },
      says, "WriteBehindScratch: overrun, [1-4] bytes behind the end of its 8208 bytes of shared memory");
}

TEST_F(Mistakes, overrun_of_pinned_memory_shows_at_a_wait) {
  const std::span<float> x = pinned_floats(7);
  const cudaStream_t s = stream();
  EXPECT_EXIT(
      {
        x.data()[7] = 1.0F;
        cudaStreamSynchronize(s);
      },
      says, "at a wait: overrun, [1-4] bytes behind the end of 28 bytes of cudaMallocHost");
}

TEST_F(Mistakes, wrong_direction_of_a_copy) {
  float* const x = device_floats(4);
  const std::span<float> pinned = pinned_floats(4);
  EXPECT_EXIT(
      cudaMemcpy(x, pinned.data(), 16, cudaMemcpyDeviceToHost), says,
      "cudaMemcpy: wrong direction, it asks for a copy to host and gets device memory as its target and "
      "pinned memory as its source");
}

TEST_F(Mistakes, early_change_of_a_pinned_source) {
  const cudaStream_t s = stream();
  float* const x = device_floats(4);
  const std::span<float> source = pinned_floats(4);
  EXPECT_EXIT(
      {
        cudaMemcpyAsync(x, source.data(), 16, cudaMemcpyHostToDevice, s);
        source[3] = 1.0F;
        cudaStreamSynchronize(s);
      },
      says, "the host changed the source too early, 16 bytes of cudaMallocHost");
}

TEST_F(Mistakes, early_change_of_a_pageable_source_is_none) {
  const cudaStream_t s = stream();
  float* const x = device_floats(4);
  std::vector<float> source(4, 1.0F);
  cudaMemcpyAsync(x, source.data(), 16, cudaMemcpyHostToDevice, s);
  source.assign(4, 2.0F);
  cudaStreamSynchronize(s);
  EXPECT_EQ(on_host(x, 4), std::vector<float>(4, 1.0F));
}

TEST_F(Mistakes, early_read_of_a_pinned_target_gives_poison) {
  const cudaStream_t s = stream();
  float* const x = device_floats(1);
  to_device({5.0F}, x);
  const std::span<float> target = pinned_floats(1);
  target[0] = 4.0F;
  cudaMemcpyAsync(target.data(), x, 4, cudaMemcpyDeviceToHost, s);
  EXPECT_TRUE(std::isnan(target[0]));
  cudaStreamSynchronize(s);
  EXPECT_EQ(target[0], 5.0F);
}

TEST_F(Mistakes, double_free) {
  const auto free_twice = [] {
    void* x = nullptr;
    cudaMalloc(&x, 40);
    cudaFree(x);
    cudaFree(x);
  };
  EXPECT_EXIT(free_twice(), says,
              "double free: cudaFree of 40 bytes of cudaMalloc, its call 1, which were freed");
}

TEST_F(Mistakes, free_of_what_is_no_start) {
  float* const x = device_floats(10);
  EXPECT_EXIT(cudaFree(x + 1), says, "which is the start of no allocation .byte 4 of 40 bytes");
  EXPECT_EXIT(cudaFreeHost(x), says, "cudaFreeHost of 40 bytes of cudaMalloc");
}

TEST_F(Mistakes, use_after_free) {
  const cudaStream_t s = stream();
  void* x = nullptr;
  cudaMalloc(&x, 40);
  cudaFree(x);
  EXPECT_EXIT(set_all(s, static_cast<float*>(x), 4, 1.0F), says, "use after free: word 0 of SetAll");
  const auto* const gone = static_cast<volatile float*>(x);
  EXPECT_EXIT((void)*gone, says, "host read of device memory: byte 0 of 40 bytes .* which were freed");
}

TEST_F(Mistakes, pinned_memory_freed_under_a_copy) {
  const cudaStream_t s = stream();
  float* const x = device_floats(4);
  EXPECT_EXIT(
      {
        void* source = nullptr;
        cudaMallocHost(&source, 16);
        cudaMemcpyAsync(x, source, 16, cudaMemcpyHostToDevice, s);
        cudaFreeHost(source);
        cudaStreamSynchronize(s);
      },
      says, "cudaMemcpyAsync: use after free, byte 0 of 16 bytes of cudaMallocHost");
}

TEST_F(Mistakes, destroyed_handles) {
  cudaStream_t s = nullptr;
  cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
  cudaStreamDestroy(s);
  EXPECT_EXIT(cudaStreamSynchronize(s), says, "cudaStreamSynchronize with a destroyed stream");
  cudaEvent_t e = nullptr;
  cudaEventCreateWithFlags(&e, 0);
  cudaEventDestroy(e);
  EXPECT_EXIT(cudaEventQuery(e), says, "cudaEventQuery with a destroyed event");
  EXPECT_EXIT(cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(&s)), says, "which is no stream");
}

TEST_F(Mistakes, leaks_are_named_when_a_process_ends_well) {
  const auto leave = [](int code) {
    void* data = nullptr;
    cudaStream_t s = nullptr;
    cudaMalloc(&data, 40);
    cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    std::exit(code);
  };
  EXPECT_EXIT(leave(0), says, "leak: 40 bytes of cudaMalloc, its call 1 were never freed");
  EXPECT_EXIT(leave(0), says, "leak: the stream of cudaStreamCreateWithFlags, its call 1 was never destroyed");
  EXPECT_EXIT(leave(4), testing::ExitedWithCode(4), "");
}

}  // namespace
}  // namespace simgpu::test
