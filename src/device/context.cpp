#include "device/context.hpp"

#include "device/describe.hpp"
#include "device/thread_pool.hpp"

namespace switchyard::device {
namespace {

class WatchedWait {
 public:
  explicit WatchedWait(Waits* waits) : waits_(waits) {
    if (waits_ != nullptr) waits_->begin();
  }
  ~WatchedWait() {
    if (waits_ != nullptr) waits_->end();
  }
  WatchedWait(const WatchedWait&) = delete;
  WatchedWait& operator=(const WatchedWait&) = delete;

  void look() {
    if (waits_ != nullptr) waits_->look();
  }

 private:
  Waits* waits_;
};

}  // namespace

Context::Context(int threads)
    : pool_(std::make_unique<ThreadPool>(threads)), workspace_(std::make_unique<Workspace>()) {}

Context Context::cuda(int device_ordinal, int threads) {
  const CudaDevice device = device::cuda::select_device(device_ordinal);
  Context context(threads);
  context.device_name_ = model_of(device);
  context.device_ = DeviceKind::cuda;
  context.compute_ = Queue::cuda();
  context.messages_ = Queue::cuda();
  context.reached_ = Event::cuda();
  for (Event& event : context.step_ended_) event = Event::cuda();
  context.workspace_ = std::make_unique<Workspace>(MemoryKind::device);
  for (auto& workspace : context.host_workspaces_) workspace = std::make_unique<Workspace>(MemoryKind::pinned);
  return context;
}

Context Context::concurrent(int team_size) {
  Context context(1);
  context.executor_ = CpuExecutor::concurrent_team;
  context.team_size_ = team_size;
  return context;
}

void Context::reset_workspaces() {
  const index_t before = counters_.waits;
  // Memory that is given back waits for all of the device, and nobody would watch that.
  if (workspace_->has_grown()) wait();
  workspace_->reset();
  if (device_ == DeviceKind::cpu) return;
  step_ended_[current_].record(compute_);
  current_ = 1 - current_;
  wait(step_ended_[current_]);
  counters_.waits = before;  // not for this step
  host_workspaces_[current_]->reset();
}

void Context::wait() {
  if (device_ == DeviceKind::cpu) return;
  reached_.record(compute_);
  wait(reached_);
}

void Context::wait(const Event& event) {
  if (device_ == DeviceKind::cpu) return;
  ++counters_.waits;
  if (event.is_over()) return;
  WatchedWait watched(waits_);
  while (!event.is_over()) watched.look();
}

Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

}  // namespace switchyard::device
