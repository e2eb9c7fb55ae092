// The MPI library, from its start to its end.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "comm/watchdog.hpp"

namespace switchyard::comm {

// Whether each collective first compares what all ranks are about to do: one small all-gather more per
// collective.
enum class CollectiveChecks { off, on };
// on in checked builds (CMake: Debug, asan, tsan), off otherwise.
CollectiveChecks default_checks();

// The library as it is loaded: "Open MPI v4.1.4". Works without MpiSession.
std::string mpi_library();

// Starts MPI and ends it; one per process, on main's stack inside Runtime, before every communicator and
// outliving them all. Only main's thread may use it or them (thread level FUNNELED).
//
// Ending MPI waits for all ranks: a rank that fails alone must call abort() before it leaves the scope of this
// object.
class MpiSession {
 public:
  // Throws MpiError if the library offers no thread support. `watchdog` (may be null) sees MPI start and end.
  explicit MpiSession(Watchdog* watchdog = nullptr);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  // A group of all ranks. Collective.
  std::unique_ptr<Communicator> world(CollectiveChecks checks = default_checks());

  // As Communicator::abort(), for when there is no communicator yet.
  [[noreturn]] void abort(ExitCode code);

 private:
  Watchdog* watchdog_;
};

}  // namespace switchyard::comm
