// The kinds of failure that a user can meet, and what each becomes as an exit code.
//
// base: errors and contracts, logging, strong ids, handles, Philox, hashing, build info. Nothing here knows of
// MPI, CUDA, HDF5 or Boost.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace switchyard {

enum class ErrorKind {
  config,
  data,
  contract,
  not_built,
  mpi,
  nccl,
  cuda,
  blas,
  hdf5,
  out_of_memory,
  system,
  timeout,
  numeric,
};

// Exit codes of the program (docs/launching.md lists them).
enum class ExitCode : int {
  ok = 0,
  config = 2,
  data = 3,
  library = 4,
  numeric = 5,
  timeout = 6,
  internal = 70,
  stopped_early = 75,  // after a checkpoint: resume me
};

// "DataError" and so on: the name a user sees in front of the message.
std::string_view name(ErrorKind kind);
ExitCode exit_code(ErrorKind kind);

// A failure with its kind. The message reads: what is wrong (why); what to try. With values.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <ErrorKind kind_value>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(kind_value, message) {}
};

using ConfigError = ErrorOf<ErrorKind::config>;
using DataError = ErrorOf<ErrorKind::data>;  // data files, checkpoints, run folders, full disks
using ContractViolation = ErrorOf<ErrorKind::contract>;
using NotBuilt = ErrorOf<ErrorKind::not_built>;
using MpiError = ErrorOf<ErrorKind::mpi>;
using NcclError = ErrorOf<ErrorKind::nccl>;
using CudaError = ErrorOf<ErrorKind::cuda>;
using BlasError = ErrorOf<ErrorKind::blas>;
using Hdf5Error = ErrorOf<ErrorKind::hdf5>;
using OutOfMemory = ErrorOf<ErrorKind::out_of_memory>;
using SystemError = ErrorOf<ErrorKind::system>;  // what the system refuses: threads
using TimeoutError = ErrorOf<ErrorKind::timeout>;
using NumericError = ErrorOf<ErrorKind::numeric>;

// A failure that every rank throws at the same point of the program: ranks can leave in an orderly way. Any
// other Error is one rank's own, and must end the others.
class AgreedError : public Error {
 public:
  using Error::Error;
};
[[noreturn]] void throw_agreed(ErrorKind kind, const std::string& message);

}  // namespace switchyard
