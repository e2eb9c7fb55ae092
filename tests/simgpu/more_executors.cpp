// The simulated device as an executor of the ops' conformance tests, which give it arrays of the host.
#include "conformance/ops/more_executors.hpp"

#include "simgpu/control.hpp"

namespace switchyard::ops {

void on_more_executors(const std::function<void(const char* name, device::Context& context)>& compare) {
  using simgpu::KernelThreads;
  simgpu::allow_host_pointers(true);
  simgpu::set_order({simgpu::Order::Kind::at_once});  // the tests read results without a wait
  const auto run = [&](const char* name, const KernelThreads& threads) {
    simgpu::set_kernel_threads(threads);
    device::Context context = device::Context::cuda(0);
    compare(name, context);
  };
  run("the simulated device, one thread", {KernelThreads::Kind::serial});
  run("the simulated device, fibers in order 1", {KernelThreads::Kind::fibers, 1});
  run("the simulated device, fibers in order 2", {KernelThreads::Kind::fibers, 2});
  run("the simulated device, fibers in order 3", {KernelThreads::Kind::fibers, 3});
}

}  // namespace switchyard::ops
