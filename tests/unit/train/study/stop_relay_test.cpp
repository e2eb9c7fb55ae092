#include "train/study/stop_relay.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "support/temporary_directory.hpp"
#include "train/stop_request.hpp"

namespace switchyard::train::study {
namespace {

bool comes_true(const auto& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// Takes the pending signal away again, for the tests after this one.
void forget_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  const timespec now{};
  while (sigtimedwait(&set, nullptr, &now) > 0) {
  }
}

class StudyStopRelay : public testing::Test {
 protected:
  void SetUp() override { block_stop_signals(); }
  void TearDown() override { forget_signals(); }

  switchyard::test::TemporaryDirectory folder_;
  std::filesystem::path mark_ = folder_.path() / "stop";
};

TEST_F(StudyStopRelay, makes_the_mark_when_a_signal_is_pending) {
  const StopRelay relay(mark_);
  EXPECT_FALSE(std::filesystem::exists(mark_));
  ::kill(::getpid(), SIGUSR1);
  EXPECT_TRUE(comes_true([&] { return std::filesystem::exists(mark_); }));
}

TEST_F(StudyStopRelay, asks_this_process_to_stop_when_there_is_a_mark) {
  const StopRelay relay(mark_);
  EXPECT_FALSE(stop_requested());
  std::ofstream(mark_) << "stop\n";
  EXPECT_TRUE(comes_true([] { return stop_requested(); }));
}

}  // namespace
}  // namespace switchyard::train::study
