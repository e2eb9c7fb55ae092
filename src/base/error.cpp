#include "base/error.hpp"

namespace switchyard {

std::string_view name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::config:
      return "ConfigError";
    case ErrorKind::data:
      return "DataError";
    case ErrorKind::contract:
      return "ContractViolation";
    case ErrorKind::not_built:
      return "NotBuilt";
    case ErrorKind::mpi:
      return "MpiError";
    case ErrorKind::nccl:
      return "NcclError";
    case ErrorKind::cuda:
      return "CudaError";
    case ErrorKind::blas:
      return "BlasError";
    case ErrorKind::hdf5:
      return "Hdf5Error";
    case ErrorKind::out_of_memory:
      return "OutOfMemory";
    case ErrorKind::system:
      return "SystemError";
    case ErrorKind::timeout:
      return "TimeoutError";
    case ErrorKind::numeric:
      return "NumericError";
  }
  return "Error";
}

ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::config:
    case ErrorKind::not_built:
      return ExitCode::config;
    case ErrorKind::data:
    case ErrorKind::hdf5:
      return ExitCode::data;
    case ErrorKind::mpi:
    case ErrorKind::nccl:
    case ErrorKind::cuda:
    case ErrorKind::blas:
    case ErrorKind::out_of_memory:
    case ErrorKind::system:
      return ExitCode::library;
    case ErrorKind::numeric:
      return ExitCode::numeric;
    case ErrorKind::timeout:
      return ExitCode::timeout;
    case ErrorKind::contract:
      return ExitCode::internal;
  }
  return ExitCode::internal;
}

void throw_agreed(ErrorKind kind, const std::string& message) { throw AgreedError(kind, message); }

}  // namespace switchyard
