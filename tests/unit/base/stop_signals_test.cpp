#include "base/stop_signals.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace switchyard {
namespace {

bool is_asked_soon() {
  for (int i = 0; i < 30'000 && !stop_requested(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return stop_requested();
}

TEST(StopSignals, each_of_them_asks_and_is_forgotten_at_the_end) {
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU}) {
    const StopSignals signals(StopSignals::Says::nothing);
    EXPECT_FALSE(stop_requested());
    ::kill(::getpid(), signal);
    EXPECT_TRUE(is_asked_soon()) << signal;
  }
  EXPECT_FALSE(stop_requested());
}

TEST(StopSignalsDeathTest, the_second_one_ends_the_process_in_a_sentence) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const StopSignals signals(StopSignals::Says::nothing);
        ::kill(::getpid(), SIGUSR2);
        is_asked_soon();
        ::kill(::getpid(), SIGHUP);
        std::this_thread::sleep_for(std::chrono::seconds(300));
      },
      testing::ExitedWithCode(128 + SIGHUP), "got HUP after a first signal; ended at once");
}

TEST(StopSignals, a_request_of_our_own_is_no_first_signal) {
  const StopSignals signals(StopSignals::Says::nothing);
  request_stop();
  EXPECT_TRUE(stop_requested());
  ::kill(::getpid(), SIGUSR1);  // does not end this process
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
}

}  // namespace
}  // namespace switchyard
