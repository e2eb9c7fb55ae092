// The simulated runtime as a program sees it: what it counts, what it refuses, and failures on request.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "device/context.hpp"
#include "simgpu/fixture.hpp"
#include "simgpu/planted_kernels.hpp"

namespace simgpu::test {
namespace {

using namespace switchyard;
using namespace switchyard::device::test;

class Runtime : public SimulatedDevice {};

// The environment is read at the first call: these come before any other in a child of their own.
TEST(RuntimeOfAnotherProcess, without_a_driver_says_so) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto look = [] {
    ::setenv("SWITCHYARD_SIMGPU_DEVICES", "0", 1);
    int devices = -1, version = -1;
    const bool right =
        cudaGetDeviceCount(&devices) == cudaErrorInsufficientDriver && devices == 0 &&
        cudaDriverGetVersion(&version) == cudaSuccess && version == 0 &&
        device::cuda_devices().why_none.starts_with("this machine has no CUDA driver: cudaGetDeviceCount");
    std::exit(right ? 0 : 1);
  };
  EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST(RuntimeOfAnotherProcess, has_the_devices_memory_and_failures_of_its_environment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto look = [] {
    ::setenv("SWITCHYARD_SIMGPU_DEVICES", "3", 1);
    ::setenv("SWITCHYARD_SIMGPU_MEMORY", "1000", 1);
    ::setenv("SWITCHYARD_SIMGPU_FAIL", "cudaSetDevice:2:46", 1);
    const device::CudaDevices found = device::cuda_devices();
    void* data = nullptr;
    const bool right =
        found.count() == 3 && found.devices[2].memory_bytes == 1000 &&
        found.devices[2].compute_capability == 90 && cudaMalloc(&data, 1001) == cudaErrorMemoryAllocation &&
        cudaSetDevice(1) == cudaSuccess && cudaSetDevice(1) == 46 && cudaSetDevice(3) == cudaErrorInvalidDevice;
    std::exit(right ? 0 : 1);
  };
  EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST(RuntimeOfAnotherProcess, refuses_values_that_it_does_not_understand) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto look = [](const char* name, const char* value) {
    ::setenv(name, value, 1);
    int devices = 0;
    cudaGetDeviceCount(&devices);
  };
  const auto says = testing::ExitedWithCode(mistake_exit_code);
  EXPECT_EXIT(look("SWITCHYARD_SIMGPU_ORDER", "last"), says,
              "SWITCHYARD_SIMGPU_ORDER = last is not understood");
  EXPECT_EXIT(look("SWITCHYARD_SIMGPU_KERNELS", "fibers:x"), says, "is not understood");
  EXPECT_EXIT(look("SWITCHYARD_SIMGPU_FAIL", "cudaMalloc:first"), says, "is not understood");
}

TEST(RuntimeOfAnotherProcess, writes_what_it_counted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr const char* variable = "SWITCHYARD_SIMGPU_COUNTS";
  const std::string name = testing::TempDir() + "simgpu_counts_" + std::to_string(::getpid());
  ::setenv(variable, name.c_str(), 0);  // the child has it from this process
  const auto look = [] {
    int devices = 0;
    cudaGetDeviceCount(&devices);
    std::exit(0);
  };
  EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
  ::unsetenv(variable);
  std::ifstream file(name);
  const std::string written{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(written, "{\"cudaGetDeviceCount\": 1}\n");
  ::unlink(name.c_str());
}

TEST_F(Runtime, counts_calls_kernels_and_copies) {
  const cudaStream_t s = stream();
  float* const x = device_floats(4);
  to_device({1, 2, 3, 4}, x);
  add_one(s, x, x, 4);
  add_one(s, x, x, 4);
  cudaStreamSynchronize(s);
  on_host(x, 4);
  EXPECT_EQ(count("kernel AddOne"), 2);
  EXPECT_EQ(count("cudaLaunchKernelExC"), 2);
  EXPECT_EQ(count("cudaMalloc"), 1);
  EXPECT_EQ(count("cudaStreamSynchronize"), 1);
  EXPECT_EQ(count("copy to device"), 1);
  EXPECT_EQ(count("bytes of copy to host"), 16);
  EXPECT_EQ(count("host wait"), 3);  // and one in each blocking copy
  EXPECT_EQ(count("kernel SetAll"), 0);
}

TEST_F(Runtime, fails_the_call_that_a_test_names) {
  plan_failure("cudaMalloc:2");
  void* data = nullptr;
  (void)device_floats(1);
  EXPECT_EQ(cudaMalloc(&data, 4), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  (void)device_floats(1);
  plan_failure("cudaLaunchKernelExC:1:701");
  EXPECT_THROW(set_all(stream(), device_floats(1), 1, 0.0F), CudaError);
}

TEST_F(Runtime, a_kernel_that_fails_is_noticed_at_the_wait_and_by_all_later_calls) {
  const cudaStream_t s = stream();
  float* const x = device_floats(1);
  plan_failure("kernel:2:700");
  set_all(s, x, 1, 1.0F);
  set_all(s, x, 1, 2.0F);
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(s), cudaErrorIllegalAddress);
  void* data = nullptr;
  EXPECT_EQ(cudaMalloc(&data, 4), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  recover_device();
  EXPECT_EQ(cudaStreamSynchronize(s), cudaSuccess);
}

TEST_F(Runtime, a_kernel_may_never_end) {
  const cudaStream_t s = stream(), other = stream();
  float* const x = device_floats(2);
  plan_failure("stall:1");
  set_all(s, x, 1, 1.0F);
  set_all(other, x + 1, 1, 2.0F);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaStreamQuery(s), cudaErrorNotReady);
  recover_device();
}

TEST_F(Runtime, has_the_limits_of_sm_90) {
  const cudaStream_t s = stream();
  float* const x = device_floats(1);
  EXPECT_EQ(launch_with_shared_memory(s, x, (48 << 10) + 1), cudaErrorInvalidValue);
  EXPECT_EQ(launch_with_shared_memory(s, x, 48 << 10), cudaSuccess);
  const auto* const some_kernel = static_cast<const void*>(&s);
  EXPECT_EQ(cudaFuncSetAttribute(some_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 232448),
            cudaSuccess);
  EXPECT_EQ(cudaFuncSetAttribute(some_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 232449),
            cudaErrorInvalidValue);
  cudaLaunchConfig_t config{};
  config.stream = s;
  EXPECT_EQ(cudaLaunchKernelExC(&config, &config, nullptr), cudaErrorInvalidDeviceFunction);
}

TEST_F(Runtime, waits_for_a_copy_to_pageable_memory) {
  const cudaStream_t s = stream();
  float* const x = device_floats(1);
  set_all(s, x, 1, 6.0F);
  float host = 0;
  EXPECT_EQ(cudaMemcpyAsync(&host, x, sizeof(host), cudaMemcpyDeviceToHost, s), cudaSuccess);
  EXPECT_EQ(host, 6.0F);
}

TEST_F(Runtime, tells_stand_ins_where_a_pointer_leads) {
  float* const x = device_floats(10);
  const std::span<float> pinned = pinned_floats(5);
  int local = 0;
  EXPECT_EQ(place_of(x + 2).kind, MemoryKind::device);
  EXPECT_EQ(place_of(x + 2).bytes_left, 32U);
  EXPECT_THAT(place_of(x + 2).allocation, testing::StartsWith("40 bytes of cudaMalloc, its call "));
  EXPECT_EQ(place_of(pinned.data()).kind, MemoryKind::pinned);
  EXPECT_EQ(place_of(&local).kind, MemoryKind::pageable);
  EXPECT_EQ(place_of(&local).readable, reinterpret_cast<std::byte*>(&local));
  EXPECT_EQ(place_of(x + 4000).kind, MemoryKind::none);
  to_device(std::vector<float>(10, 8.0F), x);
  EXPECT_EQ(*reinterpret_cast<float*>(device_range(x + 9, 4, "test: x")), 8.0F);
  EXPECT_EXIT(device_range(x + 9, 8, "cublasLtMatmul: A"), testing::ExitedWithCode(mistake_exit_code),
              "cublasLtMatmul: A: overrun, 8 bytes are used where 4 are left");
  EXPECT_EXIT(device_range(&local, 4, "cublasLtMatmul: A"), testing::ExitedWithCode(mistake_exit_code),
              "cublasLtMatmul: A: .* is no device memory .host memory");
}

}  // namespace
}  // namespace simgpu::test
