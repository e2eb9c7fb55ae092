// What a running program owns, in the order in which it must be let go.
//
// cli: main, the sub-commands, options (Boost.Program_options) and Runtime.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/mpi/mpi_session.hpp"
#include "comm/node_layout.hpp"
#include "comm/watchdog.hpp"
#include "config/config.hpp"
#include "device/context.hpp"

namespace switchyard::cli {

// One on main's stack. MPI is started only if a launcher started this process; a plain run is a group of one.
class Runtime {
 public:
  // Throws ConfigError if a launcher started several processes that do not see each other.
  Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  comm::Communicator& communicator() { return *communicator_; }
  const comm::NodeLayout& nodes() const { return nodes_; }
  bool is_root() const { return communicator_->is_root(); }

  // Makes the device and the watchdog as `run` says. Call once; collective. Throws on all ranks alike if the
  // choice cannot be had.
  device::Context& start_device(const config::Run& run);
  // After start_device, for a further run in this process: the same with other numbers. Local.
  device::Context& adjust_device(const config::Run& run);
  // What the user should know about threads and processors, found by start_device.
  const std::vector<std::string>& warnings() const { return warnings_; }
  int threads() const { return threads_; }

 private:
  int threads_of(const config::Run& run) const;

  std::unique_ptr<comm::MpiSession> mpi_;
  std::unique_ptr<comm::Watchdog> watchdog_;
  std::unique_ptr<comm::Communicator> communicator_;
  comm::NodeLayout nodes_;
  std::optional<device::Context> context_;
  int threads_ = 0;
  std::vector<std::string> warnings_;
};

// NotBuilt if a run cannot have the device that it asks for.
void require_device(const config::Run& run);

}  // namespace switchyard::cli
