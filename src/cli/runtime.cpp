#include "cli/runtime.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/floating_point.hpp"
#include "base/log.hpp"
#include "comm/agreement.hpp"
#include "comm/launch_check.hpp"
#include "comm/local/local_communicator.hpp"
#include "device/affinity.hpp"
#include "device/single_threaded_libraries.hpp"

namespace switchyard::cli {

Runtime::Runtime() {
  flush_denormals_to_zero();
  device::use_libraries_single_threaded();
  if (comm::launched_by_mpi()) {
    mpi_ = std::make_unique<comm::MpiSession>();
    communicator_ = mpi_->world();
  } else {
    communicator_ = std::make_unique<comm::LocalCommunicator>();
  }
  log::set_up(communicator_->rank().value, communicator_->size());
  comm::check_world_size(communicator_->size());
  nodes_ = comm::find_node_layout(*communicator_);
}

Runtime::~Runtime() {
  communicator_.reset();  // before the watchdog that watches it, and before MPI ends
}

device::Context& Runtime::start_device(const config::Run& run) {
  watchdog_ = std::make_unique<comm::Watchdog>(WorldRank(communicator_->rank().value), run.wait_seconds);
  communicator_->set_watchdog(watchdog_.get());
  comm::agree(*communicator_, [&] { require_device(run); });
  const int processors = static_cast<int>(device::allowed_processors().size());
  threads_ = threads_of(run);
  const int wanted = threads_ * nodes_.ranks_sharing_processors;
  if (wanted > processors) {
    warnings_.push_back(fmt::format(
        "{} rank(s) x {} thread(s) share {} processor(s): steps will be slower; start fewer ranks, set "
        "run.threads, or let the launcher bind each rank to processors of its own",
        nodes_.ranks_sharing_processors, threads_, processors));
  }
  context_.emplace(threads_);
  return *context_;
}

device::Context& Runtime::adjust_device(const config::Run& run) {
  watchdog_->set_limit_seconds(run.wait_seconds);
  if (threads_of(run) != threads_) {
    threads_ = threads_of(run);
    context_.emplace(threads_);
  }
  return *context_;
}

int Runtime::threads_of(const config::Run& run) const {
  if (run.threads > 0) return run.threads;
  return comm::default_threads(static_cast<int>(device::allowed_processors().size()), nodes_);
}

void require_device(const config::Run& run) {
  if (run.device != config::DeviceChoice::cuda) return;
  throw NotBuilt(
      "run.device = cuda is not available (training on a GPU is not part of this version; kernels are compiled "
      "for it only); use run.device = cpu");
}

}  // namespace switchyard::cli
