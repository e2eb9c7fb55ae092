#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard {
namespace {

struct Kind {
  ErrorKind kind;
  std::string_view name;
  ExitCode exit_code;
};
constexpr Kind kinds[] = {
    {ErrorKind::config, "ConfigError", ExitCode::config},
    {ErrorKind::data, "DataError", ExitCode::data},
    {ErrorKind::contract, "ContractViolation", ExitCode::internal},
    {ErrorKind::not_built, "NotBuilt", ExitCode::config},
    {ErrorKind::mpi, "MpiError", ExitCode::library},
    {ErrorKind::nccl, "NcclError", ExitCode::library},
    {ErrorKind::cuda, "CudaError", ExitCode::library},
    {ErrorKind::blas, "BlasError", ExitCode::library},
    {ErrorKind::hdf5, "Hdf5Error", ExitCode::data},
    {ErrorKind::out_of_memory, "OutOfMemory", ExitCode::library},
    {ErrorKind::system, "SystemError", ExitCode::library},
    {ErrorKind::timeout, "TimeoutError", ExitCode::timeout},
    {ErrorKind::numeric, "NumericError", ExitCode::numeric},
};
static_assert(std::size(kinds) == static_cast<std::size_t>(ErrorKind::numeric) + 1, "a row for each kind");

const Kind& row_of(ErrorKind kind) { return *std::ranges::find(kinds, kind, &Kind::kind); }

}  // namespace

std::string_view name(ErrorKind kind) { return row_of(kind).name; }

ExitCode exit_code(ErrorKind kind) { return row_of(kind).exit_code; }

void throw_agreed(ErrorKind kind, const std::string& message) { throw AgreedError(kind, message); }

void contract_violated(const char* condition, const char* file, int line, const std::string& message) {
  throw ContractViolation(
      fmt::format("{} ({} does not hold at {}:{}); this is a defect of switchyard, please report it", message,
                  condition, file, line));
}

}  // namespace switchyard
