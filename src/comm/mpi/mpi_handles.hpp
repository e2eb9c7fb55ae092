// Owners of MPI's handles, and MPI's failures as exceptions. Private to comm/mpi.
#pragma once

// The C interface only: the C++ one was removed from the standard.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/unique_handle.hpp"
#include "comm/mpi/mpi_session.hpp"

namespace switchyard::comm::mpi {

struct CommTraits {
  using Handle = MPI_Comm;
  static Handle none() noexcept { return MPI_COMM_NULL; }
  static void close(Handle handle) noexcept;
};
struct DatatypeTraits {
  using Handle = MPI_Datatype;
  static Handle none() noexcept { return MPI_DATATYPE_NULL; }
  static void close(Handle handle) noexcept;
};
// Must be closed before MPI ends; after that they only log.
using CommHandle = UniqueHandle<CommTraits>;
using DatatypeHandle = UniqueHandle<DatatypeTraits>;

// The group of `comm`, whose error handler must be MPI_ERRORS_RETURN.
std::unique_ptr<Communicator> make_communicator(CommHandle comm, CollectiveChecks checks);

// Throws the MpiError of a call that returned `code`. `details`: peers and sizes.
[[noreturn]] void throw_failed(int code, std::string_view call, GroupRank rank, int size,
                               const std::string& details);

// Ends every rank of the program with `code`, at once.
[[noreturn]] void abort_all(ExitCode code);

// MPI's counts and offsets are 32 bits. Throws MpiError if `count` does not fit; `what` names it.
int to_int(index_t count, std::string_view what);

// `row_bytes` contiguous bytes.
DatatypeHandle make_row_datatype(index_t row_bytes);

}  // namespace switchyard::comm::mpi
