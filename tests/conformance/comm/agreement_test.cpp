// A failure on any rank becomes the same failure on all.
#include "comm/agreement.hpp"

#include <gtest/gtest.h>

#include <new>

#include "base/host_name.hpp"
#include "conformance/comm/harness.hpp"

namespace switchyard::comm {
namespace {

class Agreement : public OverCommunicators {};
INSTANTIATE_TEST_SUITE_P(All, Agreement, testing::ValuesIn(harnesses()), harness_name);

// `action` must fail; returns "kind: message".
std::string failure_of(Communicator& comm, const std::function<void()>& action) {
  try {
    agree(comm, action);
  } catch (const Error& error) {
    return std::string(name(error.kind())) + ": " + error.what();
  }
  return "no failure";
}

// What names the failing rank in front of the message; the root speaks under its own name.
std::string in_front(int rank) {
  return rank == 0 ? "" : "rank " + std::to_string(rank) + " on " + host_name() + ": ";
}

TEST_P(Agreement, passes_when_no_rank_fails) {
  on_all_ranks([](Communicator& comm) {
    int ran = 0;
    agree(comm, [&] { ++ran; });
    EXPECT_EQ(ran, 1);
  });
}

TEST_P(Agreement, every_rank_gets_the_failure_of_the_one_that_failed) {
  on_all_ranks([](Communicator& comm) {
    for (int failing = 0; failing < comm.size(); ++failing) {
      const std::string failure = failure_of(comm, [&] {
        if (rank_of(comm) == failing) throw NumericError("a nan on rank " + std::to_string(failing));
      });
      EXPECT_EQ(failure, "NumericError: " + in_front(failing) + "a nan on rank " + std::to_string(failing));
    }
  });
}

TEST_P(Agreement, the_lowest_of_several_failures_wins) {
  on_all_ranks([](Communicator& comm) {
    const int lowest = comm.size() / 2;
    const std::string failure = failure_of(comm, [&] {
      if (rank_of(comm) == lowest) throw DataError("");  // an empty message travels too
      if (rank_of(comm) > lowest)
        throw ConfigError("a longer message of rank " + std::to_string(rank_of(comm)));
    });
    EXPECT_EQ(failure, "DataError: " + in_front(lowest));
  });
}

TEST_P(Agreement, exceptions_that_are_not_ours_get_a_kind) {
  on_all_ranks([](Communicator& comm) {
    const bool last = rank_of(comm) == comm.size() - 1;
    EXPECT_EQ(failure_of(comm,
                         [&] {
                           if (last) throw std::bad_alloc();
                         })
                  .substr(0, 12),
              "OutOfMemory:");
    EXPECT_EQ(failure_of(comm,
                         [&] {
                           if (last) throw std::runtime_error("odd");
                         }),
              "ContractViolation: " + in_front(comm.size() - 1) + "an unexpected failure: odd");
    EXPECT_EQ(failure_of(comm,
                         [&] {
                           if (last) throw 1;
                         })
                  .substr(0, 18),
              "ContractViolation:");
  });
}

TEST_P(Agreement, an_action_may_communicate) {
  on_all_ranks([](Communicator& comm) {
    agree(comm, [&] { comm.barrier(); });
    const std::string failure = failure_of(comm, [&] {
      comm.barrier();
      throw TimeoutError("on all");
    });
    EXPECT_EQ(failure, "TimeoutError: on all");
  });
}

}  // namespace
}  // namespace switchyard::comm
