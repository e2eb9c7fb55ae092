#include "cli/runtime.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/crash.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/thread.hpp"
#include "cli/handshake.hpp"
#include "comm/agreement.hpp"
#include "comm/launch_check.hpp"
#include "comm/local/local_communicator.hpp"
#include "device/allowed_memory.hpp"
#include "device/describe.hpp"
#include "device/single_threaded_libraries.hpp"
#include "moe/placement.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"
#include "run/shared_inputs.hpp"

namespace switchyard::cli {

namespace {

std::unique_ptr<comm::Board> launched_board() {
  const std::optional<comm::Launch> launch = comm::find_launch();
  return launch ? comm::Board::open(*launch) : nullptr;
}

}  // namespace

Runtime::Runtime(double limit_seconds)
    : watchdog_(WorldRank(comm::find_launch().value_or(comm::Launch{}).process), limit_seconds,
                launched_board()) {}

void Runtime::start(std::string_view command) {
  flush_denormals_to_zero();
  device::use_libraries_single_threaded();
  if (comm::find_launch()) {
    mpi_ = std::make_unique<comm::MpiSession>(&watchdog_);
    communicator_ = mpi_->world();
  } else {
    communicator_ = std::make_unique<comm::LocalCommunicator>();
  }
  communicator_->set_watchdog(&watchdog_);
  log::set_up(communicator_->rank().value, communicator_->size());
  comm::check_world_size(communicator_->size());
  expect_same_program(*communicator_, command);  // before the first message that another program may not know
  nodes_ = comm::find_node_layout(*communicator_);
  watchdog_.set_other_hosts(nodes_.other_hosts);
}

void Runtime::abort(ExitCode code) {
  if (mpi_ == nullptr) return;
  // Ending the others may hang where the network is what failed.
  constexpr double enough_seconds = 5;
  watchdog_.leave_within(enough_seconds, static_cast<int>(code));
  expect_own_end();
  mpi_->abort(code);
}

Runtime::~Runtime() {
  // Before MPI ends.
  watchdog_.set_give_up({});
  replicas_.reset();
  data_plane_.reset();
  communicator_.reset();
}

run::Config Runtime::read_config(const std::function<run::Config()>& read) {
  run::Config config;
  comm::agree(*communicator_, [&] {
    const comm::WatchedWait wait(&watchdog_, comm::Operation::read_files, "configuration");
    config = read();
    (void)moe::ranks_per_replica(communicator_->size(), config.moe.replicas);
    watchdog_.set_limit_seconds(config.run.wait_seconds);
  });
  comm::expect_same(*communicator_, ErrorKind::config, compared_configuration(config));
  return config;
}

data::Dataset Runtime::read_data(const run::Config& config, data::Purpose purpose) {
  std::optional<data::Dataset> dataset;
  communicator_->set_phase(0, "read data");
  comm::agree(*communicator_, [&] {
    const comm::WatchedWait wait(&watchdog_, comm::Operation::read_files, "data");
    dataset = run::load_data(config, purpose);
  });
  run::expect_same_data(*communicator_, *dataset);
  return *std::move(dataset);
}

device::Context& Runtime::start_device(const run::Options& run, const comm::Options& planes) {
  watchdog_.set_limit_seconds(run.wait_seconds);
  const ChosenDevice chosen = find_device(run);
  threads_ = threads_of(run);
  warn_of_threads();
  comm::agree(*communicator_, [&] {
    if (chosen.kind == device::DeviceKind::cuda)
      context_.emplace(device::Context::cuda(chosen.ordinal, threads_));
    else
      context_.emplace(threads_);
  });
  expect_same_gpus(*communicator_, *context_);
  plane_options_ = planes;
  comm::MadeDataPlane made = comm::make_data_plane(planes, *communicator_, *context_);
  data_plane_ = std::move(made.plane);
  data_plane_text_ = std::move(made.text);
  planes_.emplace_back(data_plane_);
  context_->set_waits(this);
  watchdog_.set_give_up([this] { give_up(); });
  return *context_;
}

std::shared_ptr<comm::DataPlane> Runtime::make_plane(comm::Communicator& group) {
  std::shared_ptr<comm::DataPlane> made = comm::make_data_plane(plane_options_, group, *context_).plane;
  const std::lock_guard lock(planes_mutex_);
  std::erase_if(planes_, [](const auto& plane) { return plane.expired(); });
  planes_.emplace_back(made);
  return made;
}

void Runtime::begin() { watchdog_.begin_on_device(comm::Operation::device); }

void Runtime::look() {
  bool waits_for_ranks = false;
  for (const auto& made : planes_) {
    if (const auto plane = made.lock()) waits_for_ranks |= plane->look();
  }
  watchdog_.set_device_waits_for_ranks(waits_for_ranks);
}

void Runtime::end() noexcept { watchdog_.end(); }

void Runtime::give_up() {
  const std::lock_guard lock(planes_mutex_);
  for (const auto& made : planes_) {
    if (const auto plane = made.lock()) plane->give_up();
  }
}

// Collective: GPUs for all ranks or for none.
ChosenDevice Runtime::find_device(const run::Options& run) {
  ChosenDevice chosen;
  FoundGpus found;
  comm::agree(*communicator_, [&] {
    if (run.device != run::DeviceChoice::cpu) found = find_gpus();
    chosen = choose_device(run.device, found, nodes_.node_rank);
  });
  if (comm::on_any_rank(*communicator_, chosen.kind == device::DeviceKind::cpu)) {
    if (chosen.kind == device::DeviceKind::cuda) chosen = {.why = "another rank cannot have one"};
    device_text_ = chosen.why.empty() ? "cpu" : fmt::format("cpu, no GPU ({})", chosen.why);
    return chosen;
  }
  device_text_ = fmt::format("{}; {}", gpu_text(found, chosen.ordinal), products_text(found.products));
  if (nodes_.ranks_on_node > found.devices.count()) {
    warnings_.push_back(
        fmt::format("{} ranks of a host share {} GPU(s): they take turns; start one rank for each GPU",
                    nodes_.ranks_on_node, found.devices.count()));
  }
  return chosen;
}

void Runtime::warn_of_threads() {
  const int processors = static_cast<int>(device::allowed_processors().size());
  const int wanted = threads_ * nodes_.ranks_sharing_processors;
  if (wanted <= processors) return;
  warnings_.push_back(fmt::format(
      "{} rank(s) x {} thread(s) share {} processor(s): steps will be slower; start fewer ranks, set "
      "run.threads, or let the launcher bind each rank to processors of its own",
      nodes_.ranks_sharing_processors, threads_, processors));
}

device::Context& Runtime::adjust_device(const run::Options& run) {
  watchdog_.set_limit_seconds(run.wait_seconds);
  // On a GPU threads only fill batches, and queues, planes and what was decided for products stay.
  if (threads_of(run) != threads_ && context_->device() == device::DeviceKind::cpu) {
    threads_ = threads_of(run);
    context_.emplace(threads_);
  }
  return *context_;
}

comm::Resources Runtime::resources(index_t replicas) {
  if (replicas > 1) {
    replicas_.emplace(*communicator_, static_cast<int>(replicas),
                      [&](comm::Communicator& group) { return make_plane(group); });
  }
  return {*communicator_, *data_plane_, *context_, replicas > 1 ? &replicas_->data_plane() : nullptr};
}

index_t Runtime::most_held_bytes() const {
  constexpr index_t share = 10;
  return device::allowed_memory_bytes() / (share * nodes_.ranks_on_node);
}

int Runtime::threads_of(const run::Options& run) const {
  if (run.threads > 0) return run.threads;
  return comm::default_threads(static_cast<int>(device::allowed_processors().size()), nodes_);
}

void require_device(const run::Options& run) {
  if (run.device == run::DeviceChoice::cuda) (void)choose_device(run.device, find_gpus(), NodeRank(0));
}

}  // namespace switchyard::cli
