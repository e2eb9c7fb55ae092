// The main of tests under mpirun: every rank runs every test, a failure on any rank fails all of them, a run in
// which no test ran, or one was skipped, has failed, and a rank left waiting by another's failed assertion ends
// the run.
#include "support/mpi_main.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

#include "base/log.hpp"
#include "base/thread.hpp"
#include "comm/watchdog.hpp"

namespace switchyard::comm {
namespace {

// Below ctest's limit (SY_TEST_HANGS), so that the sentence is seen, and above any wait on a busy machine.
constexpr double wait_limit_seconds = 300;

Communicator* world_of_tests = nullptr;
MpiSession* session_of_tests = nullptr;

// In place of GoogleTest's printer on every rank but 0: only failures, each with its rank. On rank 0 the usual
// printer stays and this adds the rank to its failures.
class RankListener : public testing::EmptyTestEventListener {
 public:
  RankListener(int rank, int size) : rank_(rank), size_(size) {}

  // Remembered: GoogleTest holds its lock while it reports a result, so that one cannot ask for the test there.
  void OnTestStart(const testing::TestInfo& info) override {
    test_ = std::string(info.test_suite_name()) + "." + info.name();
  }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed() && !result.skipped()) return;
    // One write per failure, so that the output of ranks is not interleaved.
    std::string text =
        "rank " + std::to_string(rank_) + " of " + std::to_string(size_) + ": failure in " + test_;
    if (rank_ != 0) {
      text += std::string("\n") + (result.file_name() != nullptr ? result.file_name() : "unknown file") + ":" +
              std::to_string(result.line_number()) + "\n" + result.message();
    }
    std::fprintf(stderr, "%s\n", text.c_str());
  }

 private:
  int rank_;
  int size_;
  std::string test_ = "no test";
};

void use_rank_listener(int rank, int size) {
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (rank != 0) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new RankListener(rank, size));  // GoogleTest owns it
}

// 1 if a test failed, none ran or one was skipped.
int run_tests(int rank) {
  int failed = RUN_ALL_TESTS();
  const auto& unit = *testing::UnitTest::GetInstance();
  if (unit.test_to_run_count() == 0 || unit.skipped_test_count() != 0) {
    if (rank == 0) {
      std::fprintf(stderr, "%d tests ran, %d were skipped: both are failures here\n", unit.test_to_run_count(),
                   unit.skipped_test_count());
    }
    failed = 1;
  }
  return failed;
}

int run(MpiSession& session) {
  const std::unique_ptr<Communicator> world = session.world();
  const int rank = world->rank().value;
  log::set_up(rank, world->size());
  Watchdog watchdog(WorldRank(rank), wait_limit_seconds);
  world->set_watchdog(&watchdog);
  world_of_tests = world.get();
  session_of_tests = &session;
  use_rank_listener(rank, world->size());
  std::int64_t failed = run_tests(rank);
  world->set_phase(0, "end of the tests");
  world->all_reduce_max({&failed, 1});
  return failed == 0 ? 0 : 1;
}

}  // namespace

Communicator& test_world() { return *world_of_tests; }
MpiSession& test_mpi_session() { return *session_of_tests; }

}  // namespace switchyard::comm

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  switchyard::flush_denormals_to_zero();
  switchyard::comm::MpiSession session;
  return switchyard::comm::run(session);
}
