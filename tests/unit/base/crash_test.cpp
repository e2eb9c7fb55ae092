#include "base/crash.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>

#include "base/error.hpp"

namespace switchyard {
namespace {

constexpr auto sentence = "OutOfMemory: out of host memory";
const auto library = testing::ExitedWithCode(static_cast<int>(ExitCode::library));

class EndDeathTest : public testing::Test {
 protected:
  EndDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// No more memory from here on.
void use_up_memory() {
  const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
  ::setrlimit(RLIMIT_AS, &none);
}

TEST_F(EndDeathTest, a_library_that_calls_exit_or_crashes_for_want_of_memory_is_said) {
  for (void (*const end)() :
       {+[] { std::exit(2); }, +[] { std::raise(SIGSEGV); }, +[] { std::raise(SIGABRT); }}) {
    EXPECT_EXIT(
        {
          report_ends_without_memory();
          use_up_memory();
          end();
        },
        library, sentence);
  }
}

TEST_F(EndDeathTest, any_other_end_is_left_as_it_is) {
  EXPECT_EXIT(
      {
        report_ends_without_memory();
        std::exit(2);
      },
      testing::ExitedWithCode(2), "^$");
  EXPECT_EXIT(
      {
        report_ends_without_memory();
        expect_own_end();
        use_up_memory();
        std::exit(2);
      },
      testing::ExitedWithCode(2), "^$");
  EXPECT_EXIT(
      {
        report_ends_without_memory();
        std::raise(SIGSEGV);
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

}  // namespace
}  // namespace switchyard
