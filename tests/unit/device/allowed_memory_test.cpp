#include "device/allowed_memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <sstream>

namespace switchyard::device {
namespace {

std::vector<std::string> files_of(const char* control_groups) {
  std::istringstream lines(control_groups);
  return memory_limit_files(lines);
}

TEST(AllowedMemory, has_its_limits_in_every_group_from_the_own_one_up) {
  EXPECT_THAT(files_of("0::/job/step 1\n"),
              testing::ElementsAre("/sys/fs/cgroup/job/step 1/memory.max", "/sys/fs/cgroup/job/memory.max",
                                   "/sys/fs/cgroup/memory.max"));
  EXPECT_THAT(files_of("0::/\n"), testing::ElementsAre("/sys/fs/cgroup/memory.max"));
}

TEST(AllowedMemory, knows_both_versions_of_control_groups) {
  EXPECT_THAT(files_of("5:cpu,cpuacct:/job\n4:memory:/job\nno group\n0::/\n"),
              testing::ElementsAre("/sys/fs/cgroup/memory/job/memory.limit_in_bytes",
                                   "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"));
  EXPECT_THAT(files_of(""), testing::IsEmpty());
}

TEST(AllowedMemory, is_no_more_than_the_address_space) {
  const index_t before = allowed_memory_bytes();
  EXPECT_GT(before, 0);
  rlimit old_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = static_cast<rlim_t>(before - 1);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  EXPECT_EQ(allowed_memory_bytes(), before - 1);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &old_limit), 0);
}

}  // namespace
}  // namespace switchyard::device
