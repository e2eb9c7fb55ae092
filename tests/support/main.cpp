// The main of tests without MPI: a run in which no test ran, or one was skipped, has failed.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/thread.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  switchyard::flush_denormals_to_zero();
  const int result = RUN_ALL_TESTS();
  const auto& unit = *testing::UnitTest::GetInstance();
  if (unit.test_to_run_count() == 0 || unit.skipped_test_count() != 0) {
    std::fprintf(stderr, "%d tests ran, %d were skipped: both are failures here\n", unit.test_to_run_count(),
                 unit.skipped_test_count());
    return 1;
  }
  return result;
}
