#include <string_view>

#include "base/log.hpp"
#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void damage(const fs::path& file) {
  std::vector<std::byte> bytes = bytes_of_file(file);
  bytes[bytes.size() / 2] ^= std::byte{1};
  write_file(file, bytes);
}

void point_latest_to(const fs::path& folder, std::string_view text) {
  write_file(folder / "latest", std::as_bytes(std::span(text)));
}

class NewestValid : public testing::Test {
 protected:
  NewestValid() {
    Content content = small_content();
    for (const index_t step : {100, 200, 300}) save_from(1, folder(), step, content, {.keep_last = 5});
  }
  const fs::path& folder() const { return folder_.path(); }
  std::string newest() const { return newest_valid(folder()).filename().string(); }
  // With what was written to standard error meanwhile.
  std::string warnings() const {
    log::set_up(0, 1);
    testing::internal::CaptureStderr();
    newest_valid(folder());
    return testing::internal::GetCapturedStderr();
  }

 private:
  TemporaryDirectory folder_;
};

TEST_F(NewestValid, is_what_latest_names) {
  EXPECT_EQ(newest(), "step-0000300.h5");
  point_latest_to(folder(), "step-0000200.h5\n");  // a newer file is an earlier run's, from before a resume
  EXPECT_EQ(newest(), "step-0000200.h5");
}

TEST_F(NewestValid, falls_back_to_older_ones_and_says_so) {
  damage(folder() / "step-0000300.h5");
  EXPECT_EQ(newest(), "step-0000200.h5");
  EXPECT_THAT(warnings(), AllOf(HasSubstr("step-0000300.h5"), HasSubstr("damaged")));
  fs::resize_file(folder() / "step-0000200.h5", 700);
  EXPECT_EQ(newest(), "step-0000100.h5");
  EXPECT_THAT(warnings(),
              AllOf(HasSubstr("step-0000300.h5"), HasSubstr("step-0000200.h5"), HasSubstr("cut short")));
}

TEST_F(NewestValid, prefers_older_ones_to_those_beyond_latest) {
  point_latest_to(folder(), "step-0000200.h5\n");
  damage(folder() / "step-0000200.h5");
  EXPECT_EQ(newest(), "step-0000100.h5");
  damage(folder() / "step-0000100.h5");
  EXPECT_EQ(newest(), "step-0000300.h5");
}

TEST_F(NewestValid, needs_no_pointer) {
  for (const char* text : {"", "../../etc/passwd\n", "step-0000900.h5\n"}) {
    point_latest_to(folder(), text);
    EXPECT_EQ(newest(), "step-0000300.h5") << text;
  }
  fs::remove(folder() / "latest");
  EXPECT_EQ(newest(), "step-0000300.h5");
  EXPECT_THAT(warnings(), HasSubstr("latest"));
}

TEST_F(NewestValid, says_that_there_is_none) {
  for (const int step : {1, 2, 3}) damage(folder() / ("step-0000" + std::to_string(step) + "00.h5"));
  EXPECT_THAT(message_of(ErrorKind::data, [&] { newest_valid(folder()); }), HasSubstr("3 tried"));
  TemporaryDirectory empty;
  EXPECT_THAT(message_of(ErrorKind::data, [&] { newest_valid(empty.path()); }), HasSubstr("holds none"));
  EXPECT_THAT(message_of(ErrorKind::data, [&] { newest_valid(empty.path() / "absent"); }),
              HasSubstr("no such folder"));
}

TEST_F(NewestValid, is_one_of_those_that_have_a_name) {
  const auto found = [&](std::string_view name) { return named(folder(), name).filename().string(); };
  EXPECT_EQ(found("latest"), "step-0000300.h5");
  EXPECT_EQ(found("100"), "step-0000100.h5");
  damage(folder() / "step-0000300.h5");
  EXPECT_EQ(found("latest"), "step-0000300.h5") << "another one than was asked for";
  EXPECT_THAT(message_of(ErrorKind::data, [&] { found("best"); }),
              AllOf(HasSubstr("no checkpoint 'best'"), HasSubstr("latest (step 300), 100, 200, 300")));
  EXPECT_THAT(message_of(ErrorKind::data, [&] { found("150"); }), HasSubstr("no checkpoint '150'"));
  for (const char* word : {"", "newest", "-1", "1e2", "100 ", "../latest"})
    EXPECT_THAT(message_of(ErrorKind::config, [&] { found(word); }), HasSubstr("names no checkpoint"));
  point_latest_to(folder(), "step-0000400.h5\n");
  EXPECT_THAT(message_of(ErrorKind::data, [&] { found("latest"); }), HasSubstr("(there are: 100, 200, 300)"));
}

}  // namespace
}  // namespace switchyard::checkpoint
