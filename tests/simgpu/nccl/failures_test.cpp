// Mistakes and failures over NCCL: each ends on all ranks with a sentence that names it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/threads/thread_group.hpp"
#include "comm/watchdog.hpp"
#include "conformance/comm/row_checks.hpp"
#include "simgpu/control.hpp"
#include "simgpu/nccl/planes.hpp"

namespace switchyard::comm {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

class SimulatedFailures : public testing::Test {
 protected:
  ~SimulatedFailures() override { simgpu::plan_failure(""); }

  // What each rank's body throws as NcclError or TimeoutError; "" where it throws none.
  static std::vector<std::string> failures(int ranks, const std::function<void(Communicator&, Plane&)>& body) {
    std::vector<std::string> texts(as_size(ranks));
    run_ranks(ranks, [&](Communicator& communicator) {
      std::unique_ptr<Plane> plane = make_nccl_plane(communicator);
      try {
        body(communicator, *plane);
        plane->context().wait();
      } catch (const NcclError& error) {
        texts[as_size(communicator.rank())] = error.what();
      } catch (const TimeoutError& error) {
        texts[as_size(communicator.rank())] = error.what();
      }
    });
    return texts;
  }

  static void exchange(Plane& plane, const std::function<index_t(int)>& sent,
                       const std::function<index_t(int)>& received) {
    const Blocks out = spread(plane.size(), sent), in = spread(plane.size(), received);
    const std::vector<int> send(as_size(out.end), 1);
    std::vector<int> recv(as_size(in.end));
    plane.all_to_all_rows<int>(send.data(), out.layout(), recv.data(), in.layout(), 1);
  }
  static void sum(Plane& plane, index_t count = 3) {
    std::vector<std::int64_t> values(as_size(count), 1);
    plane.all_reduce_sum(values);
  }
};

TEST_F(SimulatedFailures, a_wrong_count_in_a_send_is_named_on_both_sides) {
  const auto texts = failures(3, [](Communicator&, Plane& plane) {
    const int me = plane.rank().value;
    exchange(
        plane, [&](int to) { return me == 1 && to == 0 ? 3 : 2; }, [](int) { return 2; });
    sum(plane);
  });
  EXPECT_THAT(texts, Each(AllOf(HasSubstr("rank 0 in ncclRecv of 8 bytes from rank 1"),
                                HasSubstr("but rank 1 in ncclSend of 12 bytes to rank 0"))));
  EXPECT_THAT(texts[0], AllOf(HasSubstr("on rank 0 of 3 on "), HasSubstr("operation 1 of the data plane"),
                              HasSubstr("16 bytes to other ranks"), HasSubstr("NCCL_DEBUG=INFO"),
                              HasSubstr("NCCL_SOCKET_IFNAME"), HasSubstr("comm.data_plane = mpi")));
}

TEST_F(SimulatedFailures, two_collectives_in_another_order_on_one_rank_are_named) {
  const auto texts = failures(3, [](Communicator&, Plane& plane) {
    const auto two = [](int) { return index_t{2}; };
    if (plane.rank().value == 1) sum(plane);
    exchange(plane, two, two);
    if (plane.rank().value != 1) sum(plane);
  });
  EXPECT_THAT(texts, Each(AllOf(HasSubstr("ncclAllReduce of 24 bytes with rank"), HasSubstr("of 8 bytes"))));
}

TEST_F(SimulatedFailures, a_rank_that_leaves_is_named) {
  const auto texts = failures(3, [](Communicator& communicator, Plane& plane) {
    sum(plane);
    communicator.barrier();
    if (plane.rank().value != 2) sum(plane);
  });
  EXPECT_THAT(texts[0], HasSubstr("but rank 2 has destroyed its communicator"));
  EXPECT_THAT(texts[1], HasSubstr("but rank 2 has destroyed its communicator"));
  EXPECT_EQ(texts[2], "");
}

TEST_F(SimulatedFailures, what_one_rank_gives_up_ends_on_all) {
  const auto texts = failures(3, [](Communicator& communicator, Plane& plane) {
    sum(plane);
    communicator.barrier();
    if (plane.rank().value == 0) plane.plane().give_up();
    sum(plane);
  });
  EXPECT_THAT(texts[0], HasSubstr("its communicator of NCCL was given up"));
  EXPECT_THAT(texts[1], HasSubstr("rank 0 has aborted its communicator"));
  EXPECT_THAT(texts[2], HasSubstr("rank 0 has aborted its communicator"));
}

// What is enqueued is given up then, so that a wait for it ends even where the process goes on.
TEST_F(SimulatedFailures, a_rank_that_does_not_come_is_waited_for_as_long_as_the_watchdog_says) {
  std::string said;
  Watchdog watchdog(WorldRank(0), 1, nullptr, [&](std::string_view sentence) { said = sentence; });
  simgpu::clear_counts();
  const auto texts = failures(2, [&](Communicator&, Plane& plane) {
    if (plane.rank().value == 0) {
      watchdog.set_give_up([&] { plane.plane().give_up(); });
      plane.set_watchdog(&watchdog);
      sum(plane);  // its wait ends, one way or the other
      sum(plane);
    } else {
      // In vain: nothing that it can see fails until the other gives up.
      while (simgpu::count("ncclCommAbort") == 0) plane.plane().look();
    }
  });
  EXPECT_THAT(said,
              AllOf(HasSubstr("s for the other ranks (operation device"), HasSubstr("raise run.wait_seconds")));
  EXPECT_THAT(texts[0], HasSubstr("its communicator of NCCL was given up"));
}

// Each call of NCCL, failed once: with its name on the rank that made it, and an end on all.
TEST_F(SimulatedFailures, every_call_of_a_step_may_fail) {
  for (const std::string call :
       {"ncclGroupStart", "ncclSend", "ncclRecv", "ncclGroupEnd", "ncclAllReduce", "ncclCommGetAsyncError"}) {
    SCOPED_TRACE(call);
    const auto texts = failures(3, [&](Communicator& communicator, Plane& plane) {
      communicator.barrier();
      if (communicator.is_root()) simgpu::plan_failure(call + ":2");
      communicator.barrier();
      const auto two = [](int) { return index_t{2}; };
      exchange(plane, two, two);
      sum(plane);
    });
    EXPECT_THAT(texts, Each(HasSubstr(" failed on rank ")));
    EXPECT_THAT(texts,
                testing::Contains(AllOf(HasSubstr(call + " failed on rank"), HasSubstr("a planned failure"))));
    simgpu::plan_failure("");
  }
}

TEST_F(SimulatedFailures, a_call_that_fails_at_the_start_fails_on_all_ranks_alike) {
  for (const std::string call : {"ncclGetUniqueId", "ncclCommInitRankConfig"}) {
    SCOPED_TRACE(call);
    simgpu::plan_failure(call);
    std::vector<std::string> texts(3);
    Watchdog watchdog(WorldRank(0), 2, nullptr, [](std::string_view) {});
    run_ranks(3, [&](Communicator& communicator) {
      communicator.set_watchdog(&watchdog);
      try {
        make_nccl_plane(communicator);
      } catch (const Error& error) {
        texts[as_size(communicator.rank())] = error.what();
      }
      communicator.set_watchdog(nullptr);
    });
    EXPECT_THAT(texts, Each(HasSubstr(call + " failed on rank")));
    simgpu::plan_failure("");
  }
}

}  // namespace
}  // namespace switchyard::comm
