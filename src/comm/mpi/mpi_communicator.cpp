#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "comm/detail/copy_block.hpp"
#include "comm/mpi/mpi_handles.hpp"

namespace switchyard::comm {
namespace {

using detail::copy_block;

// Buffers without a row structure travel in pieces of this size; both sides cut alike.
constexpr std::size_t piece_bytes = std::size_t{1} << 30;

constexpr int message_tag = 0;

// Calls `pass(piece)` for each piece of `data`; once with nothing if it is empty.
template <class Byte, class Pass>
void for_each_piece(Span<Byte> data, const Pass& pass) {
  do {
    const Span<Byte> piece = data.first(std::min(data.size(), piece_bytes));
    pass(piece);
    data = data.subspan(piece.size());
  } while (!data.empty());
}

// A group of ranks. Counts go to MPI in rows of a row type, never in bytes, which overflow 32 bits at 2 GiB.
// The types and all count arrays are kept: once every row width was seen, a collective allocates nothing here.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(mpi::CommHandle comm, CollectiveChecks checks) : comm_(std::move(comm)), checks_(checks) {
    MPI_Comm_rank(comm_.get(), &rank_.value);
    MPI_Comm_size(comm_.get(), &size_);
    for (Counts* counts : {&send_counts_, &recv_counts_}) {
      counts->rows.resize(size_);
      counts->first_row.resize(size_);
    }
    if (checks_ == CollectiveChecks::on) tags_.resize(size_);
  }

  GroupRank rank() const override { return rank_; }
  int size() const override { return size_; }
  [[noreturn]] void abort(ExitCode code) override { mpi::abort_all(code); }

 private:
  // One direction of an exchange, as MPI wants it.
  struct Counts {
    Vector<int> rows;
    Vector<int> first_row;
    // Leaves out the block with `skipped`.
    void assign(RowLayout layout, GroupRank skipped) {
      for (int r = 0; r < std::ssize(rows); ++r) {
        const bool empty = layout.rows[r] == 0 || r == skipped.value;
        rows[r] = empty ? 0 : mpi::to_int(layout.rows[r], "the number of rows that one rank sends to another");
        first_row[r] = empty ? 0 : mpi::to_int(layout.first_row[r], "the first row of a rank's block");
      }
    }
  };

  struct RowType {
    index_t row_bytes;
    mpi::DatatypeHandle type;
  };

  // Throws the MpiError of a call that returned `code`. `details`, peers and sizes, are written only then.
  template <class... Args>
  void check(int code, std::string_view call, fmt::format_string<Args...> details, Args&&... args) const {
    if (code != MPI_SUCCESS) [[unlikely]]
      mpi::throw_failed(code, call, rank_, size_, fmt::format(details, std::forward<Args>(args)...));
  }

  MPI_Datatype row_datatype(index_t row_bytes) {
    const auto known = std::ranges::find(row_types_, row_bytes, &RowType::row_bytes);
    if (known != row_types_.end()) return known->type.get();
    return row_types_.emplace_back(RowType{row_bytes, mpi::make_row_datatype(row_bytes)}).type.get();
  }

  void announce(const OperationTag& tag) override {
    if (checks_ == CollectiveChecks::off) return;
    constexpr int tag_bytes = sizeof(OperationTag);
    const int code = MPI_Allgather(&tag, tag_bytes, MPI_BYTE, tags_.data(), tag_bytes, MPI_BYTE, comm_.get());
    if (code != MPI_SUCCESS) check(code, "MPI_Allgather", "comparing {}", describe(tag));
    for (int r = 1; r < size_; ++r) require_same_operation(tags_.front(), GroupRank(r), tags_[r]);
  }

  void do_barrier() override { check(MPI_Barrier(comm_.get()), "MPI_Barrier", "all ranks"); }

  void do_broadcast(Span<std::byte> data, GroupRank root) override {
    for_each_piece(data, [&](Span<std::byte> piece) {
      check(MPI_Bcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, root.value, comm_.get()),
            "MPI_Bcast", "{} bytes from rank {}", data.size(), root.value);
    });
  }

  void do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                     index_t row_bytes) override {
    index_t first_row = 0;
    for (int r = 0; r < size_; ++r) {
      recv_counts_.rows[r] = mpi::to_int(rows[r], "the number of rows that one rank gives");
      recv_counts_.first_row[r] = mpi::to_int(first_row, "the first row of a rank's block");
      if (r == rank_.value) copy_block(mine.data(), all.data() + first_row * row_bytes, std::ssize(mine));
      first_row += rows[r];
    }
    // Always in place, since MPI wants the same choice on all ranks.
    MPI_Datatype row_type = row_datatype(row_bytes);
    check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all.data(), recv_counts_.rows.data(),
                         recv_counts_.first_row.data(), row_type, comm_.get()),
          "MPI_Allgatherv", "rows of {} bytes, [{}] of them", row_bytes, fmt::join(rows, " "));
  }

  void do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) override {
    MPI_Datatype block_type = row_datatype(block_bytes);
    check(MPI_Alltoall(send.data(), 1, block_type, recv.data(), 1, block_type, comm_.get()), "MPI_Alltoall",
          "blocks of {} bytes", block_bytes);
  }

  void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv, RowLayout recv_layout,
                          index_t row_bytes) override {
    if (send_layout.rows[rank_] > 0) {
      copy_block(send + send_layout.first_row[rank_] * row_bytes,
                 recv + recv_layout.first_row[rank_] * row_bytes, send_layout.rows[rank_] * row_bytes);
    }
    if (size_ == 1) return;
    send_counts_.assign(send_layout, rank_);
    recv_counts_.assign(recv_layout, rank_);
    MPI_Datatype row_type = row_datatype(row_bytes);
    check(MPI_Alltoallv(send, send_counts_.rows.data(), send_counts_.first_row.data(), row_type, recv,
                        recv_counts_.rows.data(), recv_counts_.first_row.data(), row_type, comm_.get()),
          "MPI_Alltoallv", "rows of {} bytes, [{}] to the ranks and [{}] from them", row_bytes,
          fmt::join(send_layout.rows, " "), fmt::join(recv_layout.rows, " "));
  }

  void do_all_reduce(Span<std::int64_t> values, Operation sum_or_max) override {
    const int count = mpi::to_int(std::ssize(values), "the number of values to reduce");
    MPI_Op op = sum_or_max == Operation::all_reduce_sum ? MPI_SUM : MPI_MAX;
    check(MPI_Allreduce(MPI_IN_PLACE, values.data(), count, MPI_INT64_T, op, comm_.get()), "MPI_Allreduce",
          "{} integers", count);
  }

  void do_send(Span<const std::byte> data, GroupRank to) override {
    for_each_piece(data, [&](Span<const std::byte> piece) {
      check(
          MPI_Send(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, to.value, message_tag, comm_.get()),
          "MPI_Send", "{} bytes to rank {}", data.size(), to.value);
    });
  }

  void do_receive(Span<std::byte> data, GroupRank from) override {
    for_each_piece(data, [&](Span<std::byte> piece) {
      const int expected_bytes = static_cast<int>(piece.size());
      MPI_Status status;
      check(MPI_Recv(piece.data(), expected_bytes, MPI_BYTE, from.value, message_tag, comm_.get(), &status),
            "MPI_Recv", "{} bytes from rank {}", data.size(), from.value);
      int received_bytes = 0;
      MPI_Get_count(&status, MPI_BYTE, &received_bytes);
      if (received_bytes != expected_bytes) {  // MPI takes a shorter message for a good one
        throw MpiError(
            fmt::format("rank {} sent {} bytes to rank {}, which expected {} (the message does not fit); both "
                        "must agree on the size before",
                        from.value, received_bytes, rank_.value, expected_bytes));
      }
    });
  }

  std::unique_ptr<Communicator> do_split(int colour) override {
    MPI_Comm group = MPI_COMM_NULL;
    check(MPI_Comm_split(comm_.get(), colour, rank_.value, &group), "MPI_Comm_split", "colour {}", colour);
    return std::make_unique<MpiCommunicator>(mpi::CommHandle(group), checks_);
  }

  mpi::CommHandle comm_;
  CollectiveChecks checks_;
  GroupRank rank_;
  int size_ = 0;
  std::vector<RowType> row_types_;  // a handful: searched in order
  Counts send_counts_, recv_counts_;
  Vector<OperationTag> tags_;  // of all ranks, when checks are on
};

}  // namespace

std::unique_ptr<Communicator> mpi::make_communicator(CommHandle comm, CollectiveChecks checks) {
  return std::make_unique<MpiCommunicator>(std::move(comm), checks);
}

}  // namespace switchyard::comm
