// The watchdog with an injected action, and once for real in a child process.
#include "comm/watchdog.hpp"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "comm/communicator.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::comm {
namespace {

using namespace std::chrono_literals;

// Collects what the watchdog says.
class Sentences {
 public:
  Watchdog::Expired action() {
    return [this](std::string_view sentence) {
      const std::lock_guard lock(mutex_);
      all_.emplace_back(sentence);
      changed_.notify_all();
    };
  }
  // The first sentence, or nothing after 20 s.
  std::string first() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [this] { return !all_.empty(); });
    return all_.empty() ? "" : all_.front();
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return all_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

OperationTag dispatch_tag() {
  OperationTag tag;
  tag.operation = Operation::all_to_all_rows;
  tag.step = 17;
  tag.phase = PhaseName("dispatch");
  return tag;
}

TEST(Watchdog, names_the_rank_the_step_the_phase_and_the_operation_once) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(3), 0.05, sentences.action());
  const WatchedWait wait(&watchdog, dispatch_tag());
  const std::string sentence = sentences.first();
  EXPECT_NE(sentence.find("rank 3 has waited 0."), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("operation all_to_all_rows, step 17, phase dispatch; the limit is 0.05 s"),
            std::string::npos)
      << sentence;
  EXPECT_NE(sentence.find("run.wait_seconds"), std::string::npos);
  EXPECT_EQ(sentence.back(), '\n');
  std::this_thread::sleep_for(250ms);
  EXPECT_EQ(sentences.count(), 1u);
}

TEST(Watchdog, is_silent_about_many_short_waits_and_about_no_wait) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 0.15, sentences.action());
  for (int i = 0; i < 10; ++i) {
    const WatchedWait wait(&watchdog, dispatch_tag());
    std::this_thread::sleep_for(30ms);
  }
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(sentences.count(), 0u);
}

TEST(Watchdog, wakes_again_after_a_quiet_spell) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 0.05, sentences.action());
  { const WatchedWait wait(&watchdog, dispatch_tag()); }
  std::this_thread::sleep_for(350ms);  // long enough for it to go to sleep
  const WatchedWait wait(&watchdog, dispatch_tag());
  EXPECT_NE(sentences.first(), "");
}

TEST(Watchdog, a_limit_can_be_raised_lowered_and_taken_away) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 0, sentences.action());
  const WatchedWait wait(&watchdog, dispatch_tag());
  std::this_thread::sleep_for(250ms);
  watchdog.set_limit_seconds(1000);
  std::this_thread::sleep_for(150ms);
  EXPECT_EQ(sentences.count(), 0u);
  watchdog.set_limit_seconds(0.1);
  EXPECT_NE(sentences.first(), "");
}

TEST(Watchdog, sees_the_operations_of_a_group_and_of_its_subgroups) {
  Sentences sentences;
  std::promise<void> seen;
  const std::shared_future<void> may_go_on = seen.get_future().share();
  std::thread observer([&] {
    sentences.first();
    seen.set_value();
  });
  run_ranks(2, [&](Communicator& comm) {
    Watchdog watchdog(WorldRank(comm.rank().value), comm.is_root() ? 0.05 : 0.0, sentences.action());
    comm.set_watchdog(&watchdog);
    const auto subgroup = comm.split(0);
    subgroup->set_phase(5, "saving");
    if (!comm.is_root()) may_go_on.wait();
    subgroup->barrier();
  });
  observer.join();
  const std::string sentence = sentences.first();
  EXPECT_NE(sentence.find("rank 0 has waited"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("operation barrier, step 5, phase saving"), std::string::npos) << sentence;
}

TEST(WatchdogDeathTest, prints_the_sentence_and_leaves_with_the_timeout_code) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Watchdog watchdog(WorldRank(1), 0.05);
        const WatchedWait wait(&watchdog, dispatch_tag());
        std::this_thread::sleep_for(20s);
      },
      testing::ExitedWithCode(static_cast<int>(ExitCode::timeout)), "rank 1 has waited .*run.wait_seconds");
}

}  // namespace
}  // namespace switchyard::comm
