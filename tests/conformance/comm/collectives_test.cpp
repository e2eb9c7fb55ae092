// Every collective against what the interface says, element by element.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <set>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/comm/harness.hpp"

namespace switchyard::comm {
namespace {

class Collectives : public OverCommunicators {};
INSTANTIATE_TEST_SUITE_P(All, Collectives, testing::ValuesIn(harnesses()), harness_name);

// A byte that tells apart where it comes from, where it goes and its place in the block.
std::byte payload(int from, int to, index_t place) {
  return static_cast<std::byte>((from * 31 + to * 7 + place * 3 + place / 251 + 1) & 0xff);
}

TEST_P(Collectives, rank_and_size_name_each_rank_once) {
  on_all_ranks([](Communicator& comm) {
    const std::vector<int> ranks = comm.all_gather(rank_of(comm));
    ASSERT_EQ(std::ssize(ranks), comm.size());
    for (int r = 0; r < comm.size(); ++r) EXPECT_EQ(ranks[as_size(r)], r);
    EXPECT_EQ(comm.is_root(), rank_of(comm) == 0);
  });
}

TEST_P(Collectives, barrier_lets_all_through_many_times) {
  on_all_ranks([](Communicator& comm) {
    for (int i = 0; i < 100; ++i) comm.barrier();
  });
}

TEST_P(Collectives, broadcast_copies_from_every_root) {
  on_all_ranks([](Communicator& comm) {
    for (int root = 0; root < comm.size(); ++root) {
      for (const int elements : {0, 1, 1000}) {
        std::vector<int> data(as_size(elements), -1);
        if (rank_of(comm) == root) std::iota(data.begin(), data.end(), root * 10000);
        comm.broadcast(std::span(data), GroupRank(root));
        for (int i = 0; i < elements; ++i) EXPECT_EQ(data[as_size(i)], root * 10000 + i);
      }
    }
  });
}

TEST_P(Collectives, all_gather_collects_structs) {
  struct Sample {
    int rank;
    double value;
  };
  on_all_ranks([](Communicator& comm) {
    const auto all = comm.all_gather(Sample{rank_of(comm), 0.5 * rank_of(comm)});
    for (int r = 0; r < comm.size(); ++r) {
      EXPECT_EQ(all[as_size(r)].rank, r);
      EXPECT_EQ(all[as_size(r)].value, 0.5 * r);
    }
  });
}

// Rank r gives counts(r) rows of three ints. `in_place`: its rows already lie in `all`.
void check_all_gather_rows(Communicator& comm, const std::function<index_t(int)>& counts, bool in_place) {
  constexpr index_t width = 3;
  std::vector<index_t> rows;
  for (int r = 0; r < comm.size(); ++r) rows.push_back(counts(r));
  const auto value = [](int rank, index_t i) { return static_cast<int>(rank * 1000 + i); };
  std::vector<int> expected;
  index_t my_start = 0;
  for (int r = 0; r < comm.size(); ++r) {
    if (r == rank_of(comm)) my_start = std::ssize(expected);
    for (index_t i = 0; i < rows[as_size(r)] * width; ++i) expected.push_back(value(r, i));
  }
  const auto my_elements = static_cast<std::size_t>(rows[as_size(rank_of(comm))] * width);
  std::vector<int> all(expected.size(), -1);
  std::vector<int> apart(my_elements);
  const std::span<int> mine =
      in_place ? std::span(all).subspan(static_cast<std::size_t>(my_start), my_elements) : std::span(apart);
  for (index_t i = 0; i < std::ssize(mine); ++i) mine[static_cast<std::size_t>(i)] = value(rank_of(comm), i);
  comm.all_gather_rows(std::span<const int>(mine), std::span(all), rows, width);
  EXPECT_EQ(all, expected);
}

TEST_P(Collectives, all_gather_rows_concatenates_in_rank_order) {
  on_all_ranks([](Communicator& comm) {
    for (const bool in_place : {false, true}) {
      check_all_gather_rows(
          comm, [](int) { return 2; }, in_place);
      check_all_gather_rows(
          comm, [](int rank) { return rank; }, in_place);  // rank 0 has none
      check_all_gather_rows(
          comm, [&](int rank) { return rank == comm.size() - 1 ? 500 : 0; }, in_place);
      check_all_gather_rows(
          comm, [](int) { return 0; }, in_place);
    }
  });
}

TEST_P(Collectives, all_to_all_transposes_blocks) {
  on_all_ranks([](Communicator& comm) {
    for (const index_t block : {index_t{0}, index_t{1}, index_t{5}}) {
      std::vector<index_t> send, recv(static_cast<std::size_t>(comm.size() * block), -1);
      for (int to = 0; to < comm.size(); ++to) {
        for (index_t i = 0; i < block; ++i) send.push_back(rank_of(comm) * 10000 + to * 100 + i);
      }
      comm.all_to_all(std::span<const index_t>(send), std::span(recv), block);
      for (int from = 0; from < comm.size(); ++from) {
        for (index_t i = 0; i < block; ++i) {
          EXPECT_EQ(recv[static_cast<std::size_t>(from * block + i)], from * 10000 + rank_of(comm) * 100 + i);
        }
      }
    }
  });
}

struct Blocks {
  std::vector<index_t> rows, first_row;
  index_t end = 0;
  RowLayout layout() const { return {rows, first_row}; }
};

// Blocks with a gap of one row between them, the last rank's first: layouts need not be dense or in rank order.
template <class Rows>
Blocks spread(int ranks, const Rows& rows_with) {
  Blocks blocks{std::vector<index_t>(as_size(ranks)), std::vector<index_t>(as_size(ranks)), 0};
  for (int r = ranks - 1; r >= 0; --r) {
    blocks.rows[as_size(r)] = rows_with(r);
    blocks.first_row[as_size(r)] = blocks.end;
    blocks.end += blocks.rows[as_size(r)] + 1;
  }
  return blocks;
}

void check_all_to_all_rows(Communicator& comm, const std::function<index_t(int from, int to)>& rows,
                           index_t row_bytes) {
  const int me = rank_of(comm);
  const Blocks out = spread(comm.size(), [&](int to) { return rows(me, to); });
  const Blocks in = spread(comm.size(), [&](int from) { return rows(from, me); });
  std::vector<std::byte> send(static_cast<std::size_t>(out.end * row_bytes), std::byte{0xee});
  std::vector<std::byte> recv(static_cast<std::size_t>(in.end * row_bytes), std::byte{0xaa});
  std::vector<std::byte> expected = recv;  // the gaps must stay as they were
  for (int r = 0; r < comm.size(); ++r) {
    std::byte* const block = send.data() + out.first_row[as_size(r)] * row_bytes;
    for (index_t i = 0; i < out.rows[as_size(r)] * row_bytes; ++i) block[i] = payload(me, r, i);
    std::byte* const wanted = expected.data() + in.first_row[as_size(r)] * row_bytes;
    for (index_t i = 0; i < in.rows[as_size(r)] * row_bytes; ++i) wanted[i] = payload(r, me, i);
  }
  comm.all_to_all_rows(send.data(), out.layout(), recv.data(), in.layout(), row_bytes);
  EXPECT_EQ(recv, expected) << "rank " << me << " of " << comm.size() << ", rows of " << row_bytes << " bytes";
}

TEST_P(Collectives, all_to_all_rows_delivers_every_row) {
  on_all_ranks([](Communicator& comm) {
    for (const index_t row_bytes : {1, 2, 3, 4, 7, 16, 64, 100, 256, 1000, 4096, 5408}) {
      check_all_to_all_rows(
          comm, [](int from, int to) { return 1 + (from * 5 + to * 3) % 7; }, row_bytes);
    }
  });
}

TEST_P(Collectives, all_to_all_rows_takes_zero_rows_anywhere) {
  on_all_ranks([](Communicator& comm) {
    check_all_to_all_rows(
        comm, [](int, int) { return 0; }, 16);
    check_all_to_all_rows(
        comm, [](int from, int to) { return from == to ? 9 : 0; }, 16);
    check_all_to_all_rows(
        comm, [](int from, int to) { return from == to ? 0 : 9; }, 16);
    check_all_to_all_rows(
        comm, [](int, int to) { return to == 0 ? 40 : 0; }, 16);  // all to one
    check_all_to_all_rows(
        comm, [](int from, int) { return from == 0 ? 40 : 0; }, 16);  // one to all
    check_all_to_all_rows(
        comm, [](int from, int) { return from % 2; }, 16);  // half have none to send
    check_all_to_all_rows(
        comm, [](int, int) { return 5; }, 0);  // rows without content
  });
}

TEST_P(Collectives, all_to_all_rows_of_a_mebibyte) {
  on_all_ranks([](Communicator& comm) {
    check_all_to_all_rows(
        comm, [](int, int) { return 256; }, 4096);
  });
}

TEST_P(Collectives, all_to_all_rows_with_null_buffers_and_no_rows) {
  on_all_ranks([](Communicator& comm) {
    const std::vector<index_t> none(as_size(comm.size()), 0);
    comm.all_to_all_rows<float>(nullptr, {none, none}, nullptr, {none, none}, 8);
  });
}

TEST_P(Collectives, all_to_all_rows_leaves_a_block_that_is_in_place_alone) {
  on_all_ranks([](Communicator& comm) {
    // Only the block to oneself, sent from where it is received.
    std::vector<index_t> rows(as_size(comm.size()), 0);
    const std::vector<index_t> first_row(as_size(comm.size()), 0);
    rows[as_size(rank_of(comm))] = 4;
    std::vector<int> data(4 * 8);
    std::iota(data.begin(), data.end(), rank_of(comm) * 100);
    const std::vector<int> before = data;
    comm.all_to_all_rows<int>(data.data(), {rows, first_row}, data.data(), {rows, first_row}, 8);
    EXPECT_EQ(data, before);
  });
}

TEST_P(Collectives, all_reduce_sums_and_finds_the_largest) {
  on_all_ranks([](Communicator& comm) {
    const std::int64_t big = std::int64_t{1} << 40;
    const std::int64_t n = comm.size(), me = rank_of(comm);
    std::array<std::int64_t, 3> sum{me, big * me, -1};
    comm.all_reduce_sum(sum);
    EXPECT_EQ(sum, (std::array<std::int64_t, 3>{n * (n - 1) / 2, big * n * (n - 1) / 2, -n}));
    std::array<std::int64_t, 2> largest{me, -big * (me + 1)};
    comm.all_reduce_max(largest);
    EXPECT_EQ(largest, (std::array<std::int64_t, 2>{n - 1, -big}));
    comm.all_reduce_sum(std::span<std::int64_t>());
  });
}

TEST_P(Collectives, split_makes_groups_ordered_by_rank) {
  on_all_ranks([](Communicator& comm) {
    const int me = rank_of(comm);
    const auto parity = comm.split(me % 2);
    EXPECT_EQ(parity->size(), (comm.size() + 1 - me % 2) / 2);
    EXPECT_EQ(rank_of(*parity), me / 2);
    const std::vector<int> members = parity->all_gather(me);
    for (int r = 0; r < parity->size(); ++r) EXPECT_EQ(members[as_size(r)], 2 * r + me % 2);
    // The groups are independent of each other: different operations at the same time.
    if (me % 2 == 0) {
      for (int i = 0; i < 10; ++i) parity->barrier();
    } else {
      std::int64_t one = 1;
      parity->all_reduce_sum({&one, 1});
      EXPECT_EQ(one, parity->size());
    }
    const auto alone = parity->split(rank_of(*parity));
    EXPECT_EQ(alone->size(), 1);
    alone->barrier();
    comm.barrier();
  });
}

TEST_P(Collectives, wrong_sizes_are_refused_before_any_rank_waits) {
  on_all_ranks([](Communicator& comm) {
    std::vector<int> data(4);
    const std::vector<index_t> too_many(as_size(comm.size() + 1), 0);
    EXPECT_THROW(comm.broadcast(std::span(data), GroupRank(comm.size())), ContractViolation);
    EXPECT_THROW(comm.all_gather_rows(std::span<const int>(data), std::span(data), too_many, 1),
                 ContractViolation);
    EXPECT_THROW(comm.all_to_all(std::span<const int>(data), std::span(data), 5), ContractViolation);
    EXPECT_THROW(comm.all_to_all_rows<int>(nullptr, {too_many, too_many}, nullptr, {too_many, too_many}, 1),
                 ContractViolation);
    EXPECT_THROW(comm.send(std::span<const int>(data), comm.rank()), ContractViolation);
    EXPECT_THROW(comm.split(-1), ContractViolation);
    comm.barrier();
  });
}

}  // namespace
}  // namespace switchyard::comm
