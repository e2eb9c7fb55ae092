#include "device/thread_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <ctime>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"

namespace switchyard::device {
namespace {

using Clock = std::chrono::steady_clock;

// A task that waits until `parties` tasks are inside at once: every thread of the pool has to take one.
class Meeting {
 public:
  explicit Meeting(int parties) : parties_(parties) {}
  void arrive_and_wait() {
    ++arrived_;
    while (arrived_.load() < parties_) std::this_thread::yield();
  }

 private:
  int parties_;
  std::atomic<int> arrived_{0};
};

TEST(ThreadPool, runs_every_task_once) {
  ThreadPool pool(4);
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<int> hits(37, 0);
    pool.parallel_for(37, [&](index_t i) { ++hits[static_cast<std::size_t>(i)]; });
    EXPECT_EQ(hits, std::vector<int>(37, 1));
  }
}

TEST(ThreadPool, uses_all_of_its_threads) {
  ThreadPool pool(4);
  EXPECT_EQ(pool.size(), 4);
  Meeting meeting(4);
  std::vector<std::thread::id> ids(4);
  pool.parallel_for(4, [&](index_t i) {
    ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
    meeting.arrive_and_wait();
  });
  EXPECT_EQ(std::set<std::thread::id>(ids.begin(), ids.end()).size(), 4U);
}

TEST(ThreadPool, runs_nothing_for_a_count_of_zero) {
  ThreadPool pool(2);
  pool.parallel_for(0, [](index_t) { FAIL(); });
}

TEST(ThreadPool, runs_a_nested_loop_inline) {
  ThreadPool pool(3);
  std::vector<int> hits(12, 0);
  pool.parallel_for(4, [&](index_t i) {
    pool.parallel_for(3, [&](index_t j) { ++hits[static_cast<std::size_t>(3 * i + j)]; });
  });
  EXPECT_EQ(hits, std::vector<int>(12, 1));
}

TEST(ThreadPool, sees_in_a_loop_what_the_loop_before_wrote) {
  ThreadPool pool(4);
  std::vector<index_t> values(64, 0);
  for (index_t repeat = 1; repeat <= 500; ++repeat) {
    pool.parallel_for(64, [&](index_t i) { ++values[static_cast<std::size_t>(63 - i)]; });
  }
  EXPECT_EQ(values, std::vector<index_t>(64, 500));
}

// Whatever the number of threads: all tasks run, and the failure of the lowest index is the one that is thrown.
TEST(ThreadPool, throws_the_failure_of_the_lowest_index_and_stays_usable) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::atomic<int> ran{0};
      try {
        pool.parallel_for(16, [&](index_t i) {
          ++ran;
          if (i >= 5) throw std::runtime_error(std::to_string(i));
        });
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "5");
      }
      EXPECT_EQ(ran.load(), 16);
    }
    std::atomic<int> sum{0};
    pool.parallel_for(8, [&](index_t i) { sum += static_cast<int>(i); });
    EXPECT_EQ(sum.load(), 28);
  }
}

TEST(ThreadPool, refuses_to_have_no_thread) { EXPECT_THROW(ThreadPool(0), ContractViolation); }

// Adam's moments go subnormal as weights die: each thread must flush them, or bits depend on who ran a task.
// The pool is made by a thread that does not flush, since threads inherit the setting.
TEST(ThreadPool, flushes_denormals_in_every_thread) {
  constexpr std::size_t threads = 4;
  std::vector<float> halves(threads, 1.0F);
  std::vector<float> products(threads, 1.0F);
  std::thread([&] {
    std::fesetenv(FE_DFL_ENV);
    ThreadPool pool(threads);
    volatile float smallest = std::numeric_limits<float>::min();
    volatile float subnormal = std::numeric_limits<float>::denorm_min();
    Meeting meeting(threads);
    pool.parallel_for(threads, [&](index_t i) {
      meeting.arrive_and_wait();
      halves[static_cast<std::size_t>(i)] = smallest * 0.5F;         // flush to zero
      products[static_cast<std::size_t>(i)] = subnormal * 0x1p100F;  // denormals are zero
    });
  }).join();
  EXPECT_EQ(halves, std::vector<float>(threads, 0.0F));
  EXPECT_EQ(products, std::vector<float>(threads, 0.0F));
}

// Far more threads than cores: loops must not wait for workers that have yet to wake.
TEST(ThreadPool, is_quick_with_more_threads_than_cores) {
  ThreadPool pool(4 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  std::atomic<index_t> ran{0};
  const auto start = Clock::now();
  for (int loop = 0; loop < 2000; ++loop) pool.parallel_for(8, [&](index_t) { ++ran; });
  const std::chrono::duration<double> seconds = Clock::now() - start;
  EXPECT_EQ(ran.load(), 16000);
  EXPECT_LT(seconds.count(), 2.0);
}

// Workers that sleep and workers that spin both come back; pools may go at any moment.
TEST(ThreadPool, comes_and_goes_between_loops_and_pauses) {
  for (int repeat = 0; repeat < 30; ++repeat) {
    ThreadPool pool(3);
    std::atomic<int> ran{0};
    for (int loop = 0; loop < repeat % 3; ++loop) {
      pool.parallel_for(5, [&](index_t) { ++ran; });
      std::this_thread::sleep_for(std::chrono::microseconds(20 * repeat));
    }
    EXPECT_EQ(ran.load(), 5 * (repeat % 3));
  }
}

// A caller that waits for a long task sleeps: it uses little processor time meanwhile.
TEST(ThreadPool, the_waiting_caller_sleeps) {
  ThreadPool pool(2);
  Meeting meeting(2);
  const auto caller = std::this_thread::get_id();
  timespec before{}, after{};
  pool.parallel_for(2, [&](index_t) {
    meeting.arrive_and_wait();
    if (std::this_thread::get_id() == caller) {
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  });
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                      1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec);
  EXPECT_LT(used, 0.02);  // seconds
}

}  // namespace
}  // namespace switchyard::device
