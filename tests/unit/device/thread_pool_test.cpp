#include "device/thread_pool.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

namespace switchyard::device {
namespace {

TEST(ThreadPool, runs_every_task_once) {
  ThreadPool pool(4);
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<int> hits(37, 0);
    pool.parallel_for(37, [&](index_t i) { ++hits[static_cast<std::size_t>(i)]; });
    EXPECT_EQ(hits, std::vector<int>(37, 1));
  }
}

TEST(ThreadPool, runs_a_nested_loop_inline) {
  ThreadPool pool(3);
  std::vector<int> hits(12, 0);
  pool.parallel_for(4, [&](index_t i) {
    pool.parallel_for(3, [&](index_t j) { ++hits[static_cast<std::size_t>(3 * i + j)]; });
  });
  EXPECT_EQ(hits, std::vector<int>(12, 1));
}

TEST(ThreadPool, throws_the_first_failure_again_and_stays_usable) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.parallel_for(8, [](index_t i) { if (i == 5) throw std::runtime_error("five"); }), std::runtime_error);
  std::atomic<int> sum{0};
  pool.parallel_for(8, [&](index_t i) { sum += static_cast<int>(i); });
  EXPECT_EQ(sum.load(), 28);
}

}  // namespace
}  // namespace switchyard::device
