// Ranks in different collectives, over MPI with checks on (what checked builds do).
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/mpi/mpi_session.hpp"
#include "conformance/comm/harness.hpp"
#include "support/mpi_main.hpp"

namespace switchyard::comm {
namespace {

// What a collective throws, or nothing. Every rank must get the same, so that the group can go on.
std::string mismatch(const std::function<void()>& collective) {
  try {
    collective();
    return "";
  } catch (const ContractViolation& error) {
    return error.what();
  }
}

TEST(MpiChecks, another_collective_phase_or_size_names_both_sides_on_all_ranks) {
  const auto comm = test_mpi_session().world(CollectiveChecks::on);
  const int last = comm->size() - 1;
  const bool odd_one = last > 0 && rank_of(*comm) == last;
  std::int64_t value = 0;

  comm->set_phase(3, odd_one ? "combine" : "dispatch");
  const std::string other_phase = mismatch([&] { comm->all_reduce_sum({&value, 1}); });
  comm->set_phase(4, "dispatch");
  const std::string other_operation = mismatch([&] {
    if (odd_one) {
      comm->all_reduce_max({&value, 1});
    } else {
      comm->broadcast(std::span<std::int64_t>(&value, 1), GroupRank(0));
    }
  });
  const std::string none = mismatch([&] { comm->all_reduce_sum({&value, 1}); });
  EXPECT_EQ(none, "");
  if (last == 0) {  // nobody to differ from
    EXPECT_EQ(other_phase + other_operation, "");
  } else {
    EXPECT_NE(other_phase.find("phase dispatch, collective 0"), std::string::npos) << other_phase;
    EXPECT_NE(other_phase.find("phase combine, collective 0"), std::string::npos) << other_phase;
    EXPECT_NE(other_operation.find("rank 0 is in broadcast of 1 rows of 8 bytes with rank 0"),
              std::string::npos)
        << other_operation;
    EXPECT_NE(other_operation.find("rank " + std::to_string(last) + " is in all_reduce_max"), std::string::npos)
        << other_operation;
  }
}

}  // namespace
}  // namespace switchyard::comm
