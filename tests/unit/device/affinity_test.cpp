#include "device/describe.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace switchyard::device {
namespace {

TEST(Affinity, lists_processors_once_and_in_order) {
  const std::vector<int> processors = allowed_processors();
  ASSERT_FALSE(processors.empty());
  EXPECT_TRUE(std::adjacent_find(processors.begin(), processors.end(), std::greater_equal<>()) ==
              processors.end());
}

TEST(Affinity, follows_the_mask_of_the_calling_thread) {
  const int last = allowed_processors().back();
  std::thread([last] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(last), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(allowed_processors(), std::vector<int>{last});
  }).join();
}

}  // namespace
}  // namespace switchyard::device
