// The watchdog with an injected action, and once for real in a child process.
#include "comm/watchdog.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/host_name.hpp"
#include "comm/communicator.hpp"
#include "comm/threads/thread_group.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::comm {
namespace {

using namespace std::chrono_literals;

constexpr auto hangs = 300s;

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
  // The first sentence, or nothing after the time in which a watchdog has hung.
  std::string first() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, hangs, [this] { return !all_.empty(); });
    return all_.empty() ? "" : all_.front();
  }
  // Whether as many came in that time.
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, hangs, [&] { return all_.size() >= count; });
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return all_;
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
  Watchdog watchdog(WorldRank(3), 0.05, nullptr, sentences.action());
  const WatchedWait wait(&watchdog, dispatch_tag());
  const std::string sentence = sentences.first();
  EXPECT_NE(sentence.find("rank 3 on " + host_name() + " has waited 0."), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("operation all_to_all_rows, step 17, phase dispatch; the limit is 0.05 s"),
            std::string::npos)
      << sentence;
  EXPECT_NE(sentence.find("run.wait_seconds"), std::string::npos);
  EXPECT_TRUE(sentence.starts_with("switchyard: rank 3 on ")) << sentence;
  EXPECT_TRUE(sentence.ends_with("run.wait_seconds\n")) << sentence;
  std::this_thread::sleep_for(250ms);
  EXPECT_EQ(sentences.count(), 1u);
}

TEST(Watchdog, is_silent_about_many_short_waits_and_about_no_wait) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 1, nullptr, sentences.action());
  for (int i = 0; i < 24; ++i) {
    const WatchedWait wait(&watchdog, dispatch_tag());
    std::this_thread::sleep_for(50ms);
  }
  std::this_thread::sleep_for(1s);
  EXPECT_EQ(sentences.count(), 0u);
}

TEST(Watchdog, wakes_again_after_a_quiet_spell) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 0.05, nullptr, sentences.action());
  { const WatchedWait wait(&watchdog, dispatch_tag()); }
  std::this_thread::sleep_for(350ms);  // long enough for it to go to sleep
  const WatchedWait wait(&watchdog, dispatch_tag());
  EXPECT_NE(sentences.first(), "");
}

TEST(Watchdog, a_limit_can_be_raised_lowered_and_taken_away) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 0, nullptr, sentences.action());
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
    Watchdog watchdog(WorldRank(comm.rank().value), comm.is_root() ? 0.05 : 0.0, nullptr, sentences.action());
    comm.set_watchdog(&watchdog);
    const auto subgroup = comm.split(0);
    subgroup->set_phase(5, "saving");
    if (!comm.is_root()) may_go_on.wait();
    subgroup->barrier();
  });
  observer.join();
  const std::string sentence = sentences.first();
  EXPECT_NE(sentence.find("rank 0 on"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("operation barrier, step 5, phase saving"), std::string::npos) << sentence;
}

// Two ranks of one machine, in one process.
struct Machine {
  test::TemporaryDirectory folder;
  Sentences sentences;
  Watchdog rank_0{WorldRank(0), 0.3, Board::open_file(folder.path() / "board", WorldRank(0)),
                  sentences.action()};
  Watchdog rank_1{WorldRank(1), 0.3, Board::open_file(folder.path() / "board", WorldRank(1)),
                  sentences.action()};
};

TEST(Watchdog, names_the_rank_that_computes) {
  Machine machine;
  { const WatchedWait last(&machine.rank_1, dispatch_tag()); }
  const WatchedWait wait(&machine.rank_0, dispatch_tag());
  const std::string sentence = machine.sentences.first();
  EXPECT_NE(sentence.find("rank 1 on"), std::string::npos) << sentence;
  EXPECT_NE(
      sentence.find("computes, or is stuck in a call of its own, since operation all_to_all_rows, step 17"),
      std::string::npos)
      << sentence;
  EXPECT_NE(sentence.find("rank 0 on"), std::string::npos) << sentence;
}

TEST(Watchdog, one_rank_of_a_machine_speaks_for_all) {
  Machine machine;
  std::optional<Watchdog> third;
  third.emplace(WorldRank(2), 0.3, Board::open_file(machine.folder.path() / "board", WorldRank(2)),
                machine.sentences.action());
  const WatchedWait wait_0(&machine.rank_0, dispatch_tag());
  const WatchedWait wait_1(&machine.rank_1, dispatch_tag());
  EXPECT_TRUE(machine.sentences.wait_for(2));
  const std::vector<std::string> all = machine.sentences.all();
  EXPECT_EQ(std::ranges::count(all, ""), 1) << "the other one leaves without a word";
  EXPECT_EQ(std::ranges::count_if(all, [](const std::string& s) { return s.find("rank 2 on") != s.npos; }), 1);
}

TEST(Watchdog, where_nobody_is_missing_it_lets_other_machines_speak_first) {
  Machine machine;
  machine.rank_0.set_other_hosts("node7, node9");
  machine.rank_1.set_limit_seconds(0);
  const auto begin = std::chrono::steady_clock::now();
  const WatchedWait wait_0(&machine.rank_0, dispatch_tag());
  const WatchedWait wait_1(&machine.rank_1, dispatch_tag());
  const std::string sentence = machine.sentences.first();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_NE(sentence.find("look at node7, node9 and the network"), std::string::npos) << sentence;
}

TEST(Watchdog, a_rank_of_another_group_is_not_missed) {
  Machine machine;
  machine.rank_1.set_group(1);
  const WatchedWait wait(&machine.rank_0, dispatch_tag());
  EXPECT_EQ(machine.sentences.first().find("missing ("), std::string::npos) << machine.sentences.first();
}

TEST(Watchdog, ranks_leave_together) {
  Machine machine;
  machine.rank_1.set_limit_seconds(0);
  std::thread rank_1([&] {
    std::this_thread::sleep_for(50ms);
    machine.rank_1.leave_together();
  });
  machine.rank_0.leave_together();
  rank_1.join();
  EXPECT_EQ(machine.sentences.count(), 0u);
}

TEST(Watchdog, a_rank_that_does_not_leave_is_named) {
  Machine machine;
  machine.rank_1.set_group(1);  // all groups meet at the end
  machine.rank_1.begin({.operation = Operation::finish, .phase = PhaseName("end")});
  machine.rank_1.set_limit_seconds(0);
  std::thread rank_0([&] { machine.rank_0.leave_together(); });
  const std::string sentence = machine.sentences.first();
  EXPECT_NE(sentence.find("rank 1 on"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("is missing (rank 1: "), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("(operation leave"), std::string::npos) << sentence;
  machine.rank_1.begin({.operation = Operation::leave, .phase = PhaseName("end")});
  rank_0.join();
}

TEST(Watchdog, a_thread_that_computes_while_it_reads_does_not_wait) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(0), 1, nullptr, sentences.action());
  const WatchedWait wait(&watchdog, Operation::read_files, "data");
  const auto end = std::chrono::steady_clock::now() + 2s;
  while (std::chrono::steady_clock::now() < end) {
  }
  EXPECT_EQ(sentences.count(), 0u);
  const std::string sentence = sentences.first();  // now this thread sleeps
  EXPECT_NE(sentence.find("for files (operation read_files, step 0, phase data"), std::string::npos)
      << sentence;
}

TEST(Watchdog, says_that_a_rank_waits_for_its_own_gpu) {
  Sentences sentences;
  Watchdog watchdog(WorldRank(2), 0.05, nullptr, sentences.action());
  { const WatchedWait before(&watchdog, dispatch_tag()); }
  watchdog.begin_on_device(Operation::device);
  const std::string sentence = sentences.first();
  watchdog.end();
  EXPECT_NE(sentence.find("rank 2 on " + host_name() + " has waited 0."), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("for work of its own GPU (operation device, step 17, phase dispatch; the limit is"),
            std::string::npos)
      << sentence;
}

// Which is what the other then waits for.
TEST(Watchdog, a_gpu_that_waits_for_other_ranks_misses_the_one_that_waits_for_its_own) {
  const test::TemporaryDirectory folder;
  const auto board_of = [&](int rank) { return Board::open_file(folder.path() / "board", WorldRank(rank)); };
  Sentences sentences;
  Watchdog slow(WorldRank(1), hangs.count(), board_of(1), sentences.action());
  Watchdog watchdog(WorldRank(0), 0.2, board_of(0), sentences.action());
  slow.begin_on_device(Operation::device);
  std::this_thread::sleep_for(200ms);  // longer than half the limit: no reason to be patient with it
  watchdog.begin_on_device(Operation::device);
  watchdog.set_device_waits_for_ranks(true);
  const std::string sentence = sentences.first();
  watchdog.end();
  slow.end();
  EXPECT_NE(sentence.find("is missing (rank 1: it waits for work of its own GPU, operation device"),
            std::string::npos)
      << sentence;
}

TEST(Watchdog, gives_up_what_is_enqueued_before_the_end) {
  Sentences sentences;
  std::atomic<bool> is_given_up = false;
  bool was_given_up = false;
  Watchdog watchdog(WorldRank(0), 0.05, nullptr, [&](std::string_view sentence) {
    was_given_up = is_given_up;
    sentences.action()(sentence);
  });
  watchdog.set_give_up([&] { is_given_up = true; });
  watchdog.begin(dispatch_tag());
  (void)sentences.first();
  watchdog.end();
  EXPECT_TRUE(was_given_up);
}

TEST(Board, holds_what_each_rank_published_and_gives_the_voice_once) {
  const test::TemporaryDirectory folder;
  const auto first = Board::open_file(folder.path() / "board", WorldRank(0));
  const auto second = Board::open_file(folder.path() / "board", WorldRank(5));
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(first->slots().empty());
  second->publish({.state = Activity::State::waiting, .process = 17, .tag = dispatch_tag()});
  const std::vector<Board::Slot> slots = first->slots();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_EQ(slots[0].rank, WorldRank(5));
  EXPECT_EQ(slots[0].activity.tag, dispatch_tag());
  EXPECT_EQ(slots[0].activity.process, 17);
  EXPECT_LT(slots[0].silent_seconds, 60);
  EXPECT_TRUE(second->claim_voice());
  EXPECT_FALSE(first->claim_voice());
}

TEST(Board, follows_no_link_and_takes_no_file_that_others_may_write) {
  const test::TemporaryDirectory folder;
  std::ofstream(folder.path() / "precious") << "precious";
  std::filesystem::create_symlink("precious", folder.path() / "link");
  EXPECT_EQ(Board::open_file(folder.path() / "link", WorldRank(0)), nullptr);
  std::filesystem::permissions(folder.path() / "precious", std::filesystem::perms::all);
  EXPECT_EQ(Board::open_file(folder.path() / "precious", WorldRank(0)), nullptr);
  EXPECT_EQ(std::filesystem::file_size(folder.path() / "precious"), 8u);
}

TEST(WatchdogDeathTest, prints_the_sentence_and_leaves_with_the_timeout_code) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Watchdog watchdog(WorldRank(1), 0.05);
        const WatchedWait wait(&watchdog, dispatch_tag());
        std::this_thread::sleep_for(hangs);
      },
      testing::ExitedWithCode(static_cast<int>(ExitCode::timeout)),
      "rank 1 on .* has waited .*run.wait_seconds");
}

}  // namespace
}  // namespace switchyard::comm
