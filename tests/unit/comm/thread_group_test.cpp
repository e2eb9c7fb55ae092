// Ranks as threads: how a group fails.
#include "comm/threads/thread_group.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "base/ids.hpp"

namespace switchyard::comm {
namespace {

// What run_ranks() throws, as text.
std::string failure_of(int ranks, const std::function<void(Communicator&)>& body) {
  try {
    run_ranks(ranks, body);
  } catch (const Error& error) {
    return std::string(name(error.kind())) + ": " + error.what();
  }
  return "no failure";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(ThreadGroup, the_first_failure_wakes_all_and_is_the_one_reported) {
  std::atomic<int> woken = 0;
  const std::string failure = failure_of(4, [&](Communicator& comm) {
    if (comm.rank().value == 2) throw DataError("rank 2 cannot read its file");
    try {
      comm.barrier();
    } catch (const MpiError&) {
      ++woken;
      throw;
    }
  });
  EXPECT_EQ(failure, "DataError: rank 2 cannot read its file");
  EXPECT_EQ(woken, 3);
}

TEST(ThreadGroup, a_failure_reaches_ranks_in_subgroups_and_in_messages) {
  const std::string failure = failure_of(4, [](Communicator& comm) {
    const auto pair = comm.split(comm.rank().value / 2);
    int value = 0;
    if (comm.rank().value == 0) throw NumericError("the loss is nan");
    if (comm.rank().value == 1) pair->barrier();
    if (comm.rank().value == 2) pair->receive(std::span<int>(&value, 1), GroupRank(1));
    if (comm.rank().value == 3) comm.send(std::span<const int>(&value, 1), GroupRank(0));
  });
  EXPECT_EQ(failure, "NumericError: the loss is nan");
}

TEST(ThreadGroup, abort_ends_all_ranks_with_its_code) {
  try {
    run_ranks(3, [](Communicator& comm) {
      if (comm.rank().value == 1) comm.abort(ExitCode::numeric);
      comm.barrier();
    });
    FAIL() << "did not throw";
  } catch (const GroupAborted& aborted) {
    EXPECT_EQ(aborted.code(), ExitCode::numeric);
  }
}

TEST(ThreadGroup, different_collectives_name_both_sides) {
  const std::string failure = failure_of(3, [](Communicator& comm) {
    comm.set_phase(7, comm.rank().value == 2 ? "combine" : "dispatch");
    std::int64_t value = 0;
    if (comm.rank().value == 2) {
      comm.all_reduce_sum({&value, 1});
    } else {
      comm.barrier();
    }
  });
  EXPECT_TRUE(contains(failure, "ContractViolation")) << failure;
  EXPECT_TRUE(contains(failure, "rank 0 is in barrier (step 7, phase dispatch, collective 0")) << failure;
  EXPECT_TRUE(contains(failure, "rank 2 is in all_reduce_sum of 1 rows of 8 bytes (step 7, phase combine"))
      << failure;
}

TEST(ThreadGroup, another_step_root_or_row_size_is_a_mismatch) {
  EXPECT_TRUE(contains(failure_of(2,
                                  [](Communicator& comm) {
                                    comm.set_phase(comm.rank().value, "dispatch");
                                    comm.barrier();
                                  }),
                       "rank 1 is in barrier (step 1,"));
  EXPECT_TRUE(contains(failure_of(2,
                                  [](Communicator& comm) {
                                    int value = 0;
                                    comm.broadcast(std::span<int>(&value, 1), comm.rank());
                                  }),
                       "with rank 1"));
  EXPECT_TRUE(contains(
      failure_of(
          2,
          [](Communicator& comm) {
            const std::vector<index_t> none(2, 0);
            comm.all_to_all_rows<char>(nullptr, {none, none}, nullptr, {none, none}, 4 + comm.rank().value);
          }),
      "rank 1 is in all_to_all_rows of rows of 5 bytes"));
}

TEST(ThreadGroup, counts_that_do_not_match_are_an_error) {
  const std::string failure = failure_of(2, [](Communicator& comm) {
    const std::vector<index_t> two(2, 2), first_row{0, 2};
    const std::vector<index_t> expected = comm.rank().value == 0 ? two : std::vector<index_t>{3, 2};
    std::vector<float> send(4), recv(6);
    comm.all_to_all_rows<float>(send.data(), {two, first_row}, recv.data(), {expected, first_row}, 1);
  });
  EXPECT_TRUE(contains(failure, "rank 0 sends 2 rows to rank 1, which expects 3")) << failure;
}

TEST(ThreadGroup, a_rank_that_leaves_early_is_an_error_not_a_hang) {
  const std::string failure = failure_of(3, [](Communicator& comm) {
    if (comm.rank().value != 1) comm.barrier();
  });
  EXPECT_TRUE(contains(failure, "all 2 ranks that still run wait for another rank")) << failure;
}

TEST(ThreadGroup, a_receive_without_a_send_is_an_error_not_a_hang) {
  const std::string failure = failure_of(2, [](Communicator& comm) {
    int value = 0;
    comm.receive(std::span<int>(&value, 1), GroupRank(1 - comm.rank().value));
  });
  EXPECT_TRUE(contains(failure, "all 2 ranks")) << failure;
}

TEST(ThreadGroup, denormals_are_flushed_on_every_rank) {
  run_ranks(3, [](Communicator&) {
    volatile float smallest_normal = 1.17549435e-38F;
    volatile float half = smallest_normal * 0.5F;
    EXPECT_EQ(half, 0.0F);
  });
}

// Failures at every moment of a long exchange: buffers of the failing rank must not be read after it has left
// (AddressSanitizer and ThreadSanitizer look at this one).
TEST(ThreadGroup, a_failure_in_the_middle_of_many_exchanges_ends_cleanly) {
  for (int round = 0; round < 50; ++round) {
    const std::string failure = failure_of(4, [&](Communicator& comm) {
      for (int i = 0; i < 60; ++i) {
        std::vector<int> mine(100, i), all(400);
        const std::vector<index_t> rows(4, 100);
        if (comm.rank().value == round % 4 && i == round) throw NumericError("stop");
        comm.all_gather_rows(std::span<const int>(mine), std::span(all), rows, 1);
        EXPECT_EQ(all[399], i);
      }
    });
    EXPECT_EQ(failure, "NumericError: stop");
  }
}

}  // namespace
}  // namespace switchyard::comm
