// What a running program owns, in the order in which it must be let go.
//
// cli: main, the sub-commands, options (Boost.Program_options) and Runtime.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/device_choice.hpp"
#include "comm/communicator.hpp"
#include "comm/mpi/mpi_session.hpp"
#include "comm/node_layout.hpp"
#include "comm/planes/make_data_plane.hpp"
#include "comm/replica_group.hpp"
#include "comm/resources.hpp"
#include "comm/watchdog.hpp"
#include "data/dataset.hpp"
#include "device/context.hpp"

namespace switchyard::run {
struct Config;
}  // namespace switchyard::run

namespace switchyard::cli {

// One on main's stack. MPI is started only if a launcher started this process; a plain run is a group of one.
class Runtime final : private device::Waits {
 public:
  // Starts the watchdog, which sees all that follows until MPI has ended. `limit_seconds`: of waits, until
  // start_device().
  explicit Runtime(double limit_seconds);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  // Call once, first. Collective over all processes of the launch; a failure of one of them is its own, and
  // abort() ends the others. Throws ConfigError if a launcher started several processes that do not see each
  // other, and on all ranks if they run another `command` or program (cli/handshake.hpp).
  void start(std::string_view command);
  // Ends all processes of the launch with `code`, without waiting for anybody; returns only where this process
  // is alone.
  void abort(ExitCode code);

  // After start().
  comm::Communicator& communicator() { return *communicator_; }
  bool has_started() const { return communicator_ != nullptr; }
  comm::Watchdog& watchdog() { return watchdog_; }
  const comm::NodeLayout& nodes() const { return nodes_; }
  bool is_root() const { return communicator_->is_root(); }

  // What `read`, run on every rank, gives; the watchdog's limit is that of the configuration from then on.
  // Collective; ranks agree on failures, and a ConfigError names what they do not have alike. Reading files
  // counts as a wait.
  run::Config read_config(const std::function<run::Config()>& read);

  // The samples that `config` names, on every rank. Collective; ranks agree on failures, and a DataError says
  // so if they have read different samples. Reading files counts as a wait.
  data::Dataset read_data(const run::Config& config, data::Purpose purpose = data::Purpose::training);

  // Makes the device, and the data plane that is asked for, and sets the watchdog's limit, as `run` says. Call
  // once; collective. Throws on all ranks alike if the choice cannot be had.
  device::Context& start_device(const run::Options& run, const comm::Options& planes = {});
  // After start_device, for a further run in this process: the same with other numbers. Local.
  device::Context& adjust_device(const run::Options& run);
  // After start_device(): what a run with so many replicas of experts (moe.replicas) is made with. Collective.
  comm::Resources resources(index_t replicas = 1);
  // Over some of its ranks, of the same kind as that of all. Collective over them.
  std::shared_ptr<comm::DataPlane> make_plane(comm::Communicator& group);
  // What samples as floats may take on this rank: the ranks of a host share a tenth of the memory that it has,
  // or that they may use.
  index_t most_held_bytes() const;
  // What the user should know about threads and processors, found by start_device.
  const std::vector<std::string>& warnings() const { return warnings_; }
  int threads() const { return threads_; }
  // After start_device().
  device::DeviceKind device_kind() const { return context_->device(); }
  // "cpu", with what a GPU lacks where one could have been taken; or the GPU of this rank, and what multiplies
  // matrices there.
  const std::string& device_text() const { return device_text_; }
  // What carries rows between GPUs, and why; empty where ranks compute on processors.
  const std::string& data_plane_text() const { return data_plane_text_; }

 private:
  int threads_of(const run::Options& run) const;
  void warn_of_threads();
  ChosenDevice find_device(const run::Options& run);
  // Waits for the device are watched, and what is enqueued in data planes is looked at.
  void begin() override;
  void look() override;
  void end() noexcept override;
  void give_up();  // called by the watchdog's thread

  comm::Watchdog watchdog_;
  std::unique_ptr<comm::MpiSession> mpi_;
  std::unique_ptr<comm::Communicator> communicator_;
  comm::NodeLayout nodes_;
  std::optional<device::Context> context_;
  comm::Options plane_options_;
  std::shared_ptr<comm::DataPlane> data_plane_;  // over communicator_
  std::string data_plane_text_;
  std::mutex planes_mutex_;  // for changes, which are this thread's, and for the watchdog's thread
  std::vector<std::weak_ptr<comm::DataPlane>> planes_;  // all that were made
  std::optional<comm::ReplicaGroup> replicas_;
  int threads_ = 0;
  std::string device_text_;
  std::vector<std::string> warnings_;
};

// CudaError if a run cannot have the device that it asks for. Local.
void require_device(const run::Options& run);

}  // namespace switchyard::cli
