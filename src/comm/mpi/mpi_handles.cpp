#include "comm/mpi/mpi_handles.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <limits>

#include "base/error.hpp"
#include "base/host_name.hpp"
#include "base/log.hpp"

namespace switchyard::comm::mpi {
namespace {

bool mpi_has_ended() {
  int ended = 0;
  return MPI_Finalized(&ended) != MPI_SUCCESS || ended != 0;
}

std::string error_text(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) return fmt::format("error code {}", code);
  return {text.data(), as_size(length)};
}

template <class Handle>
void close_with(int (*free)(Handle*), Handle handle, std::string_view call, std::string_view what) {
  if (mpi_has_ended()) {
    log::error("{} outlived MPI (defect of switchyard)", what);
  } else if (const int code = free(&handle); code != MPI_SUCCESS) {
    log::error("{} failed ({})", call, error_text(code));
  }
}

}  // namespace

void CommTraits::close(Handle handle) noexcept {
  close_with(MPI_Comm_free, handle, "MPI_Comm_free", "a communicator");
}

void DatatypeTraits::close(Handle handle) noexcept {
  close_with(MPI_Type_free, handle, "MPI_Type_free", "a row type");
}

void throw_failed(int code, std::string_view call, GroupRank rank, int size, const std::string& details) {
  throw MpiError(
      fmt::format("{} failed on rank {} of {} on {} ({}; {}); look for an earlier message of another rank, and "
                  "check the nodes and the network between them",
                  call, rank.value, size, host_name(), error_text(code), details));
}

void abort_all(ExitCode code) {
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));  // not reached: MPI_Abort is not declared to never return
}

int to_int(index_t count, std::string_view what) {
  constexpr index_t largest = std::numeric_limits<int>::max();
  if (count > largest) {
    throw MpiError(
        fmt::format("{} is {} (MPI counts in 32 bits, at most {}); use more ranks or a smaller batch", what,
                    count, largest));
  }
  return static_cast<int>(count);
}

DatatypeHandle make_row_datatype(index_t row_bytes) {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  const int bytes = to_int(row_bytes, "the width of a row in bytes");
  const auto check = [&](int code, std::string_view call) {
    if (code == MPI_SUCCESS) return;
    throw MpiError(fmt::format("no MPI type for rows of {} bytes ({}: {})", bytes, call, error_text(code)));
  };
  check(MPI_Type_contiguous(bytes, MPI_BYTE, &type), "MPI_Type_contiguous");
  DatatypeHandle owned(type);
  check(MPI_Type_commit(&type), "MPI_Type_commit");
  return owned;
}

}  // namespace switchyard::comm::mpi
