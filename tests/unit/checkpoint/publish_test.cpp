#include "checkpoint/detail/folder.hpp"

#include <fstream>

#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::ElementsAre;

std::string pointer(const fs::path& folder, const char* name) {
  std::ifstream file(folder / name);
  std::string line;
  std::getline(file, line);
  return line;
}

void touch(const fs::path& file) { write_file(file, std::vector<std::byte>(3)); }

TEST(FileName, carries_the_step_both_ways) {
  EXPECT_EQ(detail::file_name(200), "step-0000200.h5");
  EXPECT_EQ(detail::file_name(123456789), "step-123456789.h5");
  EXPECT_EQ(detail::step_of("step-0000200.h5"), 200);
  EXPECT_EQ(detail::step_of("step-123456789.h5"), 123456789);
  for (const char* name :
       {"step-.h5", "step-12a.h5", "step--12.h5", "step-1.h5.tmp", "../step-1.h5", "latest", ""})
    EXPECT_EQ(detail::step_of(name), std::nullopt) << name;
}

TEST(Publish, keeps_the_last_ones_and_the_best) {
  TemporaryDirectory folder;
  Content content = small_content();
  const auto save_step = [&](index_t step, bool is_best) {
    save_from(1, folder.path(), step, content, {.keep_last = 2, .is_best = is_best});
  };
  save_step(100, false);
  save_step(200, true);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("best", "latest", "step-0000100.h5", "step-0000200.h5"));
  save_step(300, false);
  save_step(400, false);
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("best", "latest", "step-0000200.h5", "step-0000300.h5", "step-0000400.h5"));
  EXPECT_EQ(pointer(folder.path(), "latest"), "step-0000400.h5");
  EXPECT_EQ(pointer(folder.path(), "best"), "step-0000200.h5");
  save_step(500, true);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("best", "latest", "step-0000400.h5", "step-0000500.h5"));
  EXPECT_EQ(pointer(folder.path(), "best"), "step-0000500.h5");
}

TEST(Publish, may_keep_the_best_alone) {
  TemporaryDirectory folder;
  Content content = small_content();
  for (const index_t step : {100, 200, 300})
    save_from(1, folder.path(), step, content, {.keep_last = 3, .is_best = step == 200});
  EXPECT_TRUE(keep_best_alone(folder.path()));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("best", "step-0000200.h5"));
  EXPECT_TRUE(keep_best_alone(folder.path()));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("best", "step-0000200.h5"));

  TemporaryDirectory last;
  save_from(1, last.path(), 100, content, {.keep_last = 3});
  EXPECT_FALSE(keep_best_alone(last.path()));
  EXPECT_THAT(names_in(last.path()), ElementsAre("latest", "step-0000100.h5"));
  save_from(1, last.path(), 200, content, {.keep_last = 3, .is_best = true});
  EXPECT_TRUE(keep_best_alone(last.path()));
  EXPECT_THAT(names_in(last.path()), ElementsAre("best", "latest", "step-0000200.h5"));
  EXPECT_FALSE(keep_best_alone(last.path() / "nowhere"));
}

TEST(Publish, a_best_pointer_can_be_put_right) {
  TemporaryDirectory folder;
  Content content = small_content();
  for (const index_t step : {100, 200})
    save_from(1, folder.path(), step, content, {.keep_last = 3, .is_best = step == 100});
  point_best(folder.path(), 200);
  EXPECT_EQ(pointer(folder.path(), "best"), "step-0000200.h5");
  std::ofstream(folder.path() / "best") << "";
  point_best(folder.path(), 300);  // which is not there
  EXPECT_EQ(pointer(folder.path(), "best"), "");
  point_best(folder.path(), 100);
  EXPECT_EQ(pointer(folder.path(), "best"), "step-0000100.h5");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("best", "latest", "step-0000100.h5", "step-0000200.h5"));
}

TEST(Publish, leaves_steps_alone_that_the_run_has_yet_to_reach) {
  TemporaryDirectory folder;
  Content content = small_content();
  for (const index_t step : {100, 200, 300}) save_from(1, folder.path(), step, content, {.keep_last = 3});
  save_from(1, folder.path(), 150, content, {.keep_last = 1});  // resumed from step 100
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("latest", "step-0000150.h5", "step-0000200.h5", "step-0000300.h5"));
  EXPECT_EQ(pointer(folder.path(), "latest"), "step-0000150.h5");
}

TEST(Publish, removes_what_a_killed_run_has_left_and_nothing_else) {
  TemporaryDirectory folder;
  for (const char* name :
       {"step-0000100.h5.tmp", "latest.tmp", "best.tmp", "notes.tmp", "step-one.h5.tmp", "notes.txt"})
    touch(folder.path() / name);
  Content content = small_content();
  save_from(1, folder.path(), 200, content);
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("latest", "notes.tmp", "notes.txt", "step-0000200.h5", "step-one.h5.tmp"));
}

TEST(Publish, a_temporary_file_is_gone_unless_published) {
  TemporaryDirectory folder;
  {
    const files::TemporaryName file(folder.path() / "a");
    touch(file.path());
  }
  EXPECT_TRUE(names_in(folder.path()).empty());
  {
    files::TemporaryName file(folder.path() / "a");
    touch(file.path());
    file.publish();
  }
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a"));
}

}  // namespace
}  // namespace switchyard::checkpoint
