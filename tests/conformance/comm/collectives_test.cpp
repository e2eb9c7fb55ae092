// Every collective against what the interface says, element by element.
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/comm/harness.hpp"
#include "conformance/comm/row_checks.hpp"

namespace switchyard::comm {
namespace {

class Collectives : public OverCommunicators {};
INSTANTIATE_TEST_SUITE_P(All, Collectives, testing::ValuesIn(harnesses()), harness_name);

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

TEST_P(Collectives, all_gather_rows_concatenates_in_rank_order) {
  on_all_ranks([](Communicator& comm) { check_all_gather_rows(comm); });
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

TEST_P(Collectives, all_to_all_rows_delivers_every_row) {
  on_all_ranks([](Communicator& comm) { check_rows_of_all_widths(comm); });
}

TEST_P(Collectives, all_to_all_rows_takes_zero_rows_anywhere) {
  on_all_ranks([](Communicator& comm) { check_zero_rows_anywhere(comm); });
}

TEST_P(Collectives, all_to_all_rows_of_a_mebibyte) {
  on_all_ranks([](Communicator& comm) {
    check_all_to_all_rows(
        comm, [](int, int) { return 256; }, 4096);
  });
}

TEST_P(Collectives, all_to_all_rows_with_null_buffers_and_no_rows) {
  on_all_ranks([](Communicator& comm) { check_null_buffers(comm); });
}

TEST_P(Collectives, all_to_all_rows_leaves_a_block_that_is_in_place_alone) {
  on_all_ranks([](Communicator& comm) { check_block_in_place(comm); });
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
