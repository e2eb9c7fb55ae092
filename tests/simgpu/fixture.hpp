// Streams and memory for the tests of the simulated device, which are given back at the end of a test.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "simgpu/control.hpp"
#include "simgpu/device.hpp"

namespace simgpu::test {

class SimulatedDevice : public testing::Test {
 protected:
  SimulatedDevice() {
    // A child of its own, started anew: what runs deferred here must not run there.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    set_order({});
    set_kernel_threads({});
    allow_host_pointers(false);
    plan_failure("");
    clear_counts();
  }

  ~SimulatedDevice() override {
    plan_failure("");
    cudaDeviceSynchronize();
    for (const cudaStream_t stream : streams_) cudaStreamDestroy(stream);
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
    for (void* const data : device_) cudaFree(data);
    for (void* const data : pinned_) cudaFreeHost(data);
    EXPECT_EQ(left_over(), std::vector<std::string>{});
  }

  cudaStream_t stream() {
    cudaStream_t made = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), cudaSuccess);
    streams_.push_back(made);
    return made;
  }
  cudaEvent_t event() {
    cudaEvent_t made = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), cudaSuccess);
    events_.push_back(made);
    return made;
  }
  float* device_floats(std::size_t count) {
    void* made = nullptr;
    EXPECT_EQ(cudaMalloc(&made, count * sizeof(float)), cudaSuccess);
    device_.push_back(made);
    return static_cast<float*>(made);
  }
  std::span<float> pinned_floats(std::size_t count) {
    void* made = nullptr;
    EXPECT_EQ(cudaMallocHost(&made, count * sizeof(float)), cudaSuccess);
    pinned_.push_back(made);
    return {static_cast<float*>(made), count};
  }
  void to_device(const std::vector<float>& from, float* to) {
    EXPECT_EQ(cudaMemcpy(to, from.data(), from.size() * sizeof(float), cudaMemcpyHostToDevice), cudaSuccess);
  }
  // Waits for nothing but its own copy.
  std::vector<float> on_host(const float* from, std::size_t count) {
    std::vector<float> host(count);
    EXPECT_EQ(cudaMemcpy(host.data(), from, count * sizeof(float), cudaMemcpyDeviceToHost), cudaSuccess);
    return host;
  }

 private:
  std::vector<cudaStream_t> streams_;
  std::vector<cudaEvent_t> events_;
  std::vector<void*> device_;
  std::vector<void*> pinned_;
};

}  // namespace simgpu::test
