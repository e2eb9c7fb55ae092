#include "device/context.hpp"

#include "device/thread_pool.hpp"

namespace switchyard::device {

Context::Context(int threads)
    : pool_(std::make_unique<ThreadPool>(threads)), workspace_(std::make_unique<Workspace>()) {}

Context Context::cuda(int device_ordinal, int threads) {
  Stream stream(device::cuda::open_stream(device_ordinal));
  Context context(threads);
  context.device_ = DeviceKind::cuda;
  context.stream_ = std::move(stream);
  context.workspace_ = std::make_unique<Workspace>(DeviceKind::cuda);
  return context;
}

Context Context::concurrent(int team_size) {
  Context context(1);
  context.executor_ = CpuExecutor::concurrent_team;
  context.team_size_ = team_size;
  return context;
}

void Context::synchronise() {
  if (device_ == DeviceKind::cuda) device::cuda::synchronise(stream());
}

Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

}  // namespace switchyard::device
