// What streams and events promise, and no more: a wait that is missing shows under some order of execution.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "simgpu/fixture.hpp"
#include "simgpu/planted_kernels.hpp"

namespace simgpu::test {
namespace {

using namespace switchyard::device::test;

std::vector<Order> all_orders(std::uint64_t seeds) {
  std::vector<Order> orders = {
      {Order::Kind::issue}, {Order::Kind::latest}, {Order::Kind::needed}, {Order::Kind::at_once}};
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) orders.push_back({Order::Kind::seeded, seed});
  return orders;
}

// Which of the waits of a loop with double buffers are left out.
struct LeftOut {
  bool wait_for_copy = false;         // before the kernel reads what was copied
  bool wait_for_free_buffer = false;  // before a copy overwrites what a kernel reads
  bool wait_for_result = false;       // before the result is copied back
  bool wait_of_host = false;          // before the host fills staging memory again
};

class Orders : public SimulatedDevice {
 protected:
  // Six steps: the host fills staging memory, stream `copies` takes it to a buffer, stream `compute` adds one
  // to it. Returns the results of all steps.
  std::vector<float> train(const LeftOut& left_out) {
    constexpr std::size_t steps = 6;
    const cudaStream_t compute = stream(), copies = stream();
    const std::span<float> staging[2] = {pinned_floats(1), pinned_floats(1)};
    float* const buffer[2] = {device_floats(1), device_floats(1)};
    const cudaEvent_t copied[2] = {event(), event()}, freed[2] = {event(), event()};
    const cudaEvent_t ended = event();
    float* const results = device_floats(steps);
    to_device(std::vector<float>(steps, -1.0F), results);
    for (std::size_t step = 0; step < steps; ++step) {
      const std::size_t slot = step % 2;
      if (!left_out.wait_of_host) cudaEventSynchronize(copied[slot]);
      staging[slot][0] = static_cast<float>(10 * step);
      if (!left_out.wait_for_free_buffer) cudaStreamWaitEvent(copies, freed[slot], 0);
      cudaMemcpyAsync(buffer[slot], staging[slot].data(), sizeof(float), cudaMemcpyHostToDevice, copies);
      cudaEventRecord(copied[slot], copies);
      if (!left_out.wait_for_copy) cudaStreamWaitEvent(compute, copied[slot], 0);
      add_one(compute, buffer[slot], results + step, 1);
      cudaEventRecord(freed[slot], compute);
    }
    cudaEventRecord(ended, compute);
    const std::span<float> target = pinned_floats(steps);
    if (!left_out.wait_for_result) cudaStreamWaitEvent(copies, ended, 0);
    cudaMemcpyAsync(target.data(), results, target.size_bytes(), cudaMemcpyDeviceToHost, copies);
    cudaStreamSynchronize(copies);
    return {target.begin(), target.end()};
  }

  // Of so many orders how many give another result.
  int differing(const std::vector<Order>& orders, const LeftOut& left_out) {
    int found = 0;
    for (const Order& order : orders) {
      set_order(order);
      found += train(left_out) == expected ? 0 : 1;
      cudaDeviceSynchronize();
    }
    set_order({});
    return found;
  }

  const std::vector<float> expected = {1, 11, 21, 31, 41, 51};
};

TEST_F(Orders, do_not_matter_where_no_wait_is_missing) { EXPECT_EQ(differing(all_orders(50), {}), 0); }

TEST_F(Orders, show_a_missing_wait_for_a_copy) {
  const LeftOut left_out{.wait_for_copy = true};
  EXPECT_EQ(differing({{Order::Kind::issue}}, left_out), 0);  // why other orders are needed
  EXPECT_EQ(differing({{Order::Kind::latest}}, left_out), 1);
  EXPECT_GT(differing(all_orders(20), left_out), 5);
}

TEST_F(Orders, show_a_missing_wait_for_a_free_buffer) {
  EXPECT_GT(differing(all_orders(20), {.wait_for_free_buffer = true}), 5);
}

TEST_F(Orders, show_a_missing_wait_for_a_result) {
  EXPECT_GT(differing(all_orders(20), {.wait_for_result = true}), 5);
}

TEST_F(Orders, need_no_luck_to_show_a_missing_wait_of_the_host) {
  EXPECT_EXIT(train({.wait_of_host = true}), testing::ExitedWithCode(mistake_exit_code),
              "the host changed the source too early");
}

TEST_F(Orders, nothing_runs_before_the_host_waits) {
  const cudaStream_t s = stream();
  float* const x = device_floats(1);
  const std::span<float> target = pinned_floats(1);
  set_all(s, x, 1, 2.0F);
  cudaMemcpyAsync(target.data(), x, sizeof(float), cudaMemcpyDeviceToHost, s);
  EXPECT_NE(target[0], 2.0F);
  EXPECT_EQ(cudaStreamQuery(s), cudaErrorNotReady);  // runs the kernel
  EXPECT_NE(target[0], 2.0F);
  EXPECT_EQ(cudaStreamQuery(s), cudaSuccess);  // and the copy
  EXPECT_EQ(target[0], 2.0F);
}

TEST_F(Orders, needed_runs_nothing_else) {
  set_order({Order::Kind::needed});
  const cudaStream_t first = stream(), second = stream(), third = stream();
  float* const x = device_floats(2);
  const cudaEvent_t set = event();
  set_all(first, x, 1, 1.0F);
  cudaEventRecord(set, first);
  set_all(third, x + 1, 1, 7.0F);
  cudaStreamWaitEvent(second, set, 0);
  set_all(second, x, 1, 2.0F);
  cudaStreamSynchronize(second);
  EXPECT_EQ(cudaEventQuery(set), cudaSuccess);  // the query also runs what is left
  cudaStreamSynchronize(third);
  EXPECT_EQ(on_host(x, 2), (std::vector<float>{2.0F, 7.0F}));
}

TEST_F(Orders, work_of_stand_ins_may_take_several_turns) {
  const cudaStream_t s = stream(), other = stream();
  float* const x = device_floats(1);
  int turns = 0;
  enqueue_until_done(s, "exchange", [&] { return ++turns == 3; });
  bool ran = false;
  enqueue(other, "product", [&] { ran = true; });
  set_all(s, x, 1, 4.0F);
  cudaStreamSynchronize(s);
  EXPECT_EQ(turns, 3);
  EXPECT_TRUE(ran);
  EXPECT_EQ(count("work exchange"), 1);
  EXPECT_EQ(on_host(x, 1), std::vector<float>{4.0F});
}

TEST_F(Orders, events_tell_time_if_asked_to) {
  const cudaStream_t s = stream();
  cudaEvent_t start = nullptr, end = nullptr;
  cudaEventCreateWithFlags(&start, cudaEventDefault);
  cudaEventCreateWithFlags(&end, cudaEventDefault);
  cudaEventRecord(start, s);
  set_all(s, device_floats(1000), 1000, 1.0F);
  cudaEventRecord(end, s);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0.0F);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, event()), cudaErrorInvalidResourceHandle);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
}

}  // namespace
}  // namespace simgpu::test
