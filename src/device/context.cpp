#include "device/context.hpp"

namespace switchyard::device {

Context::Context(int threads)
    : pool_(std::make_unique<ThreadPool>(threads)), workspace_(std::make_unique<Workspace>()) {}

Context Context::concurrent(int team_size) {
  Context context(1);
  context.executor_ = CpuExecutor::concurrent_team;
  context.team_size_ = team_size;
  return context;
}

Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

}  // namespace switchyard::device
