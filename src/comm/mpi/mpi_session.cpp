#include "comm/mpi/mpi_session.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "base/log.hpp"
#include "comm/mpi/mpi_handles.hpp"

namespace switchyard::comm {

CollectiveChecks default_checks() {
#ifdef SWITCHYARD_CHECKED
  return CollectiveChecks::on;
#else
  return CollectiveChecks::off;
#endif
}

std::string mpi_library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string_view version(text.data(), as_size(length));
  return std::string(version.substr(0, version.find_first_of(",\n")));  // then who built it, and when
}

MpiSession::MpiSession(Watchdog* watchdog) : watchdog_(watchdog) {
  const WatchedWait wait(watchdog_, Operation::start, "start");
  int provided = MPI_THREAD_SINGLE;
  // A failure in here ends the process with MPI's own message: no other handler can be set before.
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  // From here on failures are returned, and become exceptions. Groups made from these two inherit it.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  if (provided < MPI_THREAD_FUNNELED) {
    MPI_Finalize();
    throw MpiError(
        fmt::format("the MPI library allows no threads (it offers level {}, MPI_THREAD_FUNNELED is {}); use "
                    "an MPI library that was built with thread support",
                    provided, static_cast<int>(MPI_THREAD_FUNNELED)));
  }
}

MpiSession::~MpiSession() {
  {
    const WatchedWait wait(watchdog_, Operation::finish, "end");
    if (MPI_Finalize() != MPI_SUCCESS) log::error("MPI_Finalize failed");
  }
  if (watchdog_ != nullptr) watchdog_->leave_together();
}

void MpiSession::abort(ExitCode code) { mpi::abort_all(code); }

std::unique_ptr<Communicator> MpiSession::world(CollectiveChecks checks) {
  // A copy, so that no message of ours meets one of a library.
  const WatchedWait wait(watchdog_, Operation::start, "start");
  MPI_Comm copy = MPI_COMM_NULL;
  if (const int code = MPI_Comm_dup(MPI_COMM_WORLD, &copy); code != MPI_SUCCESS) {
    int rank = -1, size = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    mpi::throw_failed(code, "MPI_Comm_dup", GroupRank(rank), size, "all ranks");
  }
  return mpi::make_communicator(mpi::CommHandle(copy), checks);
}

}  // namespace switchyard::comm
