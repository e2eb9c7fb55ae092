// What a rank's timeline is told of its operations, and how clocks are compared.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "base/timeline.hpp"
#include "comm/clock_offsets.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::comm {
namespace {

struct Told {
  Operation operation;
  index_t bytes;
  bool operator==(const Told&) const = default;
};

std::vector<Told> told_of(const Timeline& timeline) {
  std::vector<Told> told;
  for (const Timeline::Span& span : timeline.kept().spans) {
    if (span.kind != Timeline::Kind::operation) continue;
    EXPECT_LE(span.begin_ns, span.end_ns);
    told.push_back({static_cast<Operation>(span.what), span.number});
  }
  return told;
}

// Three ranks; what each sends is counted by hand. A group that was split off before is told of, too.
TEST(CommunicatorTimeline, is_told_each_operation_of_a_step_and_the_bytes_that_leave_the_rank) {
  run_ranks(3, [](Communicator& comm) {
    const int rank = comm.rank().value;
    const auto group = comm.split(0);
    Timeline timeline(1);
    comm.set_timeline(&timeline);
    comm.barrier();  // outside steps
    timeline.begin_step(1, Timeline::Clock::now());
    comm.barrier();
    std::int64_t word = 1;
    comm.all_reduce_sum({&word, 1});
    std::array<float, 5> five{};
    comm.broadcast(std::span<float>(five), GroupRank(1));
    (void)comm.all_gather(std::int32_t{7});
    // To itself one row of 2 floats, to each of the others two.
    std::array<index_t, 3> rows = {2, 2, 2};
    rows[as_size(rank)] = 1;
    const std::array<index_t, 3> first = {0, 2, 4};
    std::array<float, 12> send{};
    std::array<float, 12> recv{};
    group->all_to_all_rows(send.data(), RowLayout{rows, first}, recv.data(), RowLayout{rows, first}, 2);
    timeline.end_step(Timeline::Clock::now());
    comm.barrier();
    comm.set_timeline(nullptr);
    const std::vector<Told> expected = {{Operation::barrier, 0},
                                        {Operation::all_reduce_sum, 8},
                                        {Operation::broadcast, rank == 1 ? 20 : 0},
                                        {Operation::all_gather_rows, 4},
                                        {Operation::all_to_all_rows, 4 * 2 * 4}};
    EXPECT_EQ(told_of(timeline), expected) << "rank " << rank;
  });
}

// Ranks that are threads have one clock.
TEST(ClockOffsets, are_within_half_of_the_round_trip) {
  run_ranks(3, [](Communicator& comm) {
    const std::vector<ClockOffset> offsets = clock_offsets(comm);
    if (!comm.is_root()) {
      EXPECT_TRUE(offsets.empty());
      return;
    }
    ASSERT_EQ(offsets.size(), 3U);
    EXPECT_EQ(offsets[0].offset_ns, 0);
    for (std::size_t rank = 1; rank < 3; ++rank) {
      EXPECT_GT(offsets[rank].round_trip_ns, 0);
      EXPECT_LE(2 * std::abs(offsets[rank].offset_ns), offsets[rank].round_trip_ns + 1);
    }
  });
}

}  // namespace
}  // namespace switchyard::comm
