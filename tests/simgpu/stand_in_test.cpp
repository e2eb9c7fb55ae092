// Libraries that run on the simulated device, and threads that share it.
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "simgpu/fixture.hpp"
#include "simgpu/planted_kernels.hpp"

namespace simgpu::test {
namespace {

using namespace switchyard::device::test;

class StandIns : public SimulatedDevice {};

TEST_F(StandIns, reach_the_device_of_the_program) {
  void* const library = ::dlopen(SY_STAND_IN, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << ::dlerror();
  const auto add = reinterpret_cast<int (*)(const float*, float*, std::size_t, cudaStream_t)>(
      ::dlsym(library, "stand_in_add"));
  ASSERT_NE(add, nullptr);
  const cudaStream_t s = stream();
  float* const x = device_floats(2);
  float* const y = device_floats(2);
  set_all(s, x, 2, 3.0F);
  set_all(s, y, 2, 4.0F);
  EXPECT_EQ(add(x, y, 2, s), 0);
  cudaStreamSynchronize(s);
  EXPECT_EQ(on_host(y, 2), std::vector<float>(2, 7.0F));
  EXPECT_EQ(count("stand_in_add"), 1);
  EXPECT_EQ(count("work add"), 1);

  plan_failure("stand_in_add");
  EXPECT_EQ(add(x, y, 2, s), 14);
  EXPECT_EQ(add(x, y, 2, s), 0);
  EXPECT_EXIT(add(x, y, 3, s), testing::ExitedWithCode(mistake_exit_code), "stand_in_add: x: overrun");
  EXPECT_EXIT(add(x, y, 2, reinterpret_cast<cudaStream_t>(y)), testing::ExitedWithCode(mistake_exit_code),
              "add with .* which is no stream");
}

// As ranks that are threads of one process do.
TEST_F(StandIns, threads_share_the_device) {
  constexpr int rounds = 200;
  set_kernel_threads({KernelThreads::Kind::fibers});
  std::vector<float> ended(3);
  const auto work = [&](std::size_t rank) {
    cudaStream_t s = nullptr;
    void* data = nullptr;
    cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    cudaMalloc(&data, sizeof(float));
    auto* const x = static_cast<float*>(data);
    set_all(s, x, 1, static_cast<float>(rank));
    for (int i = 0; i < rounds; ++i) {
      add_one(s, x, x, 1);
      if (i % 7 == 0) cudaStreamSynchronize(s);
    }
    cudaMemcpyAsync(&ended[rank], x, sizeof(float), cudaMemcpyDeviceToHost, s);
    cudaFree(data);
    cudaStreamDestroy(s);
  };
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < ended.size(); ++rank) threads.emplace_back(work, rank);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, (std::vector<float>{200, 201, 202}));
}

// What one stream waits for in vain, another thread brings.
TEST_F(StandIns, work_may_wait_for_another_thread) {
  bool sent = false;
  const cudaStream_t receiver = stream(), sender = stream();
  enqueue_until_done(receiver, "receive", [&] { return sent; });
  std::thread other([&] {
    enqueue(sender, "send", [&] { sent = true; });
    cudaStreamSynchronize(sender);
  });
  EXPECT_EQ(cudaStreamSynchronize(receiver), cudaSuccess);
  other.join();
}

}  // namespace
}  // namespace simgpu::test
