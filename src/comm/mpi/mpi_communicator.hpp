// A group of ranks over MPI. Private to comm/mpi: others get it from MpiSession::world() and split().
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "comm/mpi/mpi_handles.hpp"
#include "comm/mpi/mpi_session.hpp"

namespace switchyard::comm {

// Counts go to MPI in rows of a row type, never in bytes, which overflow 32 bits at 2 GiB. The types and all
// count arrays are kept: once every row width was seen, a collective allocates nothing here.
class MpiCommunicator final : public Communicator {
 public:
  // Takes over `comm`, whose error handler must be MPI_ERRORS_RETURN.
  MpiCommunicator(mpi::CommHandle comm, CollectiveChecks checks);

  GroupRank rank() const override { return rank_; }
  int size() const override { return size_; }
  [[noreturn]] void abort(ExitCode code) override;

 private:
  // One direction of an exchange, as MPI wants it.
  struct Counts {
    Vector<int> rows;
    Vector<int> first_row;
    // Leaves out the block with `skipped`.
    void assign(RowLayout layout, GroupRank skipped);
  };

  void announce(const OperationTag& tag) override;
  void do_barrier() override;
  void do_broadcast(Span<std::byte> data, GroupRank root) override;
  void do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                     index_t row_bytes) override;
  void do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) override;
  void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                          index_t row_bytes) override;
  void do_all_reduce(Span<std::int64_t> values, Operation sum_or_max) override;
  void do_send(Span<const std::byte> data, GroupRank to) override;
  void do_receive(Span<std::byte> data, GroupRank from) override;
  std::unique_ptr<Communicator> do_split(int color) override;

  MPI_Datatype row_datatype(index_t row_bytes);
  // Throws the MpiError of a call that returned `code`. `details`, peers and sizes, are written only then.
  template <class... Args>
  void check(int code, std::string_view call, fmt::format_string<Args...> details, Args&&... args) const {
    if (code != MPI_SUCCESS) [[unlikely]]
      mpi::throw_failed(code, call, rank_, size_, fmt::format(details, std::forward<Args>(args)...));
  }

  struct RowType {
    index_t row_bytes;
    mpi::DatatypeHandle type;
  };

  mpi::CommHandle comm_;
  CollectiveChecks checks_;
  GroupRank rank_;
  int size_ = 0;
  std::vector<RowType> row_types_;  // a handful: searched in order
  Counts send_counts_, recv_counts_;
  Vector<OperationTag> tags_;  // of all ranks, when checks are on
};

}  // namespace switchyard::comm
