// What an operation over MPI costs: bytes on the wire, allocations of ours, and errors where MPI has limits.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "comm/staged_data_plane.hpp"
#include "conformance/comm/harness.hpp"
#include "support/allocation_counter.hpp"
#include "support/mpi_main.hpp"
#include "support/mpi_payload_counter.hpp"

namespace switchyard::comm {
namespace {

// A full exchange of rows(from, to) rows of ints, its buffers and layouts.
struct Exchange {
  template <class Rows>
  Exchange(const Communicator& comm, index_t width, const Rows& rows) : row_elements(width) {
    index_t send_end = 0, recv_end = 0;
    for (int r = 0; r < comm.size(); ++r) {
      send_rows.push_back(rows(rank_of(comm), r));
      recv_rows.push_back(rows(r, rank_of(comm)));
      first_send_row.push_back(send_end);
      first_recv_row.push_back(recv_end);
      send_end += send_rows.back();
      recv_end += recv_rows.back();
      if (r != rank_of(comm)) off_rank_rows += send_rows.back();
    }
    send.resize(static_cast<std::size_t>(send_end * width), rank_of(comm));
    recv.resize(static_cast<std::size_t>(recv_end * width), -1);
  }
  void run(Communicator& comm) {
    comm.all_to_all_rows(send.data(), {send_rows, first_send_row}, recv.data(), {recv_rows, first_recv_row},
                         row_elements);
  }

  index_t row_elements;
  index_t off_rank_rows = 0;
  std::vector<index_t> send_rows, recv_rows, first_send_row, first_recv_row;
  std::vector<int> send, recv;
};

TEST(MpiCost, all_to_all_rows_sends_the_rows_of_other_ranks_and_no_byte_more) {
  Communicator& comm = test_world();
  for (const index_t width : {1, 33, 1024}) {
    Exchange exchange(comm, width, [](int from, int to) { return from == to ? 50 : 1 + from + 2 * to; });
    reset_mpi_payload();
    exchange.run(comm);
    EXPECT_EQ(mpi_payload_bytes(), exchange.off_rank_rows * width * static_cast<index_t>(sizeof(int)));
  }
}

TEST(MpiCost, rows_for_oneself_are_not_sent) {
  Communicator& comm = test_world();
  Exchange exchange(comm, 16, [](int from, int to) { return from == to ? 50 : 0; });
  reset_mpi_payload();
  exchange.run(comm);
  EXPECT_EQ(mpi_payload_bytes(), 0);
  EXPECT_EQ(mpi_self_payload_bytes(), 0);
  EXPECT_EQ(exchange.recv, exchange.send);
}

TEST(MpiCost, the_counter_sees_gathers_and_messages) {
  Communicator& comm = test_world();
  const auto others = static_cast<std::int64_t>(comm.size() - 1);
  reset_mpi_payload();
  comm.all_gather(std::int64_t{1});
  EXPECT_EQ(mpi_payload_bytes(), 8 * others);
  std::vector<int> data(5);
  reset_mpi_payload();
  comm.broadcast(std::span(data), GroupRank(0));
  EXPECT_EQ(mpi_payload_bytes(), comm.is_root() ? 20 * others : 0);
  reset_mpi_payload();
  if (comm.size() > 1 && rank_of(comm) == 1) comm.send(std::span<const int>(data), GroupRank(0));
  if (comm.size() > 1 && rank_of(comm) == 0) comm.receive(std::span(data), GroupRank(1));
  EXPECT_EQ(mpi_payload_bytes(), rank_of(comm) == 1 ? 20 : 0);
}

TEST(MpiCost, a_warm_collective_allocates_nothing) {
  Communicator& comm = test_world();
  Exchange wide(comm, 512, [](int, int) { return 3; });
  Exchange narrow(comm, 1, [](int from, int to) { return from + to; });
  std::vector<index_t> counts(as_size(comm.size()), 2), received(as_size(comm.size()));
  std::vector<int> gathered(as_size(comm.size()) * 2), mine(2);
  const auto step = [&] {
    comm.set_phase(1, "dispatch");
    comm.all_to_all(std::span<const index_t>(counts), std::span(received), 1);
    wide.run(comm);
    narrow.run(comm);
    comm.all_gather_rows(std::span<const int>(mine), std::span(gathered), counts, 1);
    comm.all_reduce_sum(received);
    comm.broadcast(std::span(mine), GroupRank(0));
    comm.barrier();
  };
  step();
  const std::int64_t before = allocations();
  step();
  EXPECT_EQ(allocations() - before, 0);
}

TEST(MpiCost, a_warm_staged_plane_allocates_nothing_and_sends_no_byte_more) {
  Communicator& comm = test_world();
  device::Context context(1);
  StagedDataPlane plane(comm, context);
  Exchange exchange(comm, 33, [](int from, int to) { return from == to ? 50 : 1 + from + 2 * to; });
  const std::vector<index_t> counts(as_size(comm.size()), 2);
  std::vector<int> gathered(as_size(comm.size()) * 2), mine(2);
  std::vector<std::int64_t> sums(3);
  const auto move_rows = [&] {
    plane.all_to_all_rows<int>(context, exchange.send.data(), {exchange.send_rows, exchange.first_send_row},
                               exchange.recv.data(), {exchange.recv_rows, exchange.first_recv_row},
                               exchange.row_elements);
  };
  const auto step = [&] {
    move_rows();
    plane.all_gather_rows<int>(context, mine, gathered, counts, 1);
    plane.all_reduce_sum(context, sums);
  };
  step();
  const std::int64_t before = allocations();
  step();
  EXPECT_EQ(allocations() - before, 0);
  reset_mpi_payload();
  move_rows();
  EXPECT_EQ(mpi_payload_bytes(), exchange.off_rank_rows * 33 * static_cast<index_t>(sizeof(int)));
}

TEST(MpiCost, counts_above_32_bits_are_an_error_with_the_number) {
  Communicator& comm = test_world();
  const std::vector<index_t> none(as_size(comm.size()), 0);
  std::vector<index_t> huge(as_size(comm.size()), 3'000'000'000);
  huge[as_size(rank_of(comm))] = 0;
  const auto failure = [&](RowLayout layout) -> std::string {
    try {
      comm.all_to_all_rows<char>(nullptr, layout, nullptr, layout, 1);
      return "";
    } catch (const MpiError& error) {
      return error.what();
    }
  };
  // Alone, a rank has nobody to send to.
  const std::string expected = comm.size() == 1 ? "" : "3000000000 (MPI counts in 32 bits, at most 2147483647)";
  EXPECT_NE(failure({huge, none}).find(expected), std::string::npos);
  // Offsets of empty blocks are not looked at.
  EXPECT_EQ(failure({none, huge}), "");
}

}  // namespace
}  // namespace switchyard::comm
