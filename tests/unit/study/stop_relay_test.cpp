#include "study/stop_relay.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/stop_signals.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::study {
namespace {

bool comes_true(const auto& condition) {
  for (int i = 0; i < 30'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class StudyStopRelay : public testing::Test {
 protected:
  StopSignals signals_{StopSignals::Says::nothing};
  switchyard::test::TemporaryDirectory folder_;
  std::filesystem::path mark_ = folder_.path() / "stop";
};

TEST_F(StudyStopRelay, makes_the_mark_when_a_signal_came) {
  const std::jthread relay = relay_stop(mark_);
  EXPECT_FALSE(std::filesystem::exists(mark_));
  ::kill(::getpid(), SIGUSR1);
  EXPECT_TRUE(comes_true([&] { return std::filesystem::exists(mark_); }));
}

TEST_F(StudyStopRelay, asks_this_process_to_stop_when_there_is_a_mark) {
  const std::jthread relay = relay_stop(mark_);
  EXPECT_FALSE(stop_requested());
  std::ofstream(mark_) << "stop\n";
  EXPECT_TRUE(comes_true([] { return stop_requested(); }));
}

}  // namespace
}  // namespace switchyard::study
