#include "base/shared_library.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/temporary_directory.hpp"

namespace switchyard {
namespace {

constexpr const char* variable = "SWITCHYARD_TEST_LIBRARIES";
const std::filesystem::path library = SY_OPENED_LIBRARY;

// The variable's value for the life of a test.
class Folders {
 public:
  explicit Folders(const std::string& value) { setenv(variable, value.c_str(), 1); }
  ~Folders() { unsetenv(variable); }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;
};

TEST(SharedLibrary, is_taken_from_the_folders_of_the_variable_first) {
  const Folders folders("/nowhere::" + library.parent_path().string());
  const SharedLibrary opened({variable, library.filename().string(), ""});
  ASSERT_TRUE(opened) << opened.why_none();
  EXPECT_EQ(opened.path(), library.string());
  EXPECT_EQ(opened.why_none(), "");
  const auto answer = opened.function<int (*)()>("switchyard_test_answer");
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer(), 42);
  EXPECT_EQ(opened.function<int (*)()>("switchyard_test_question"), nullptr);
}

TEST(SharedLibrary, is_then_where_the_loader_looks) {
  const SharedLibrary opened({variable, "libz.so.1", "/nowhere"});
  ASSERT_TRUE(opened) << opened.why_none();
  EXPECT_THAT(opened.path(), ::testing::HasSubstr("/libz.so.1"));
}

TEST(SharedLibrary, is_last_in_the_folder_of_its_package) {
  const SharedLibrary opened({variable, library.filename().string(), library.parent_path().string()});
  ASSERT_TRUE(opened) << opened.why_none();
  EXPECT_EQ(opened.path(), library.string());
}

TEST(SharedLibrary, that_is_none_is_passed_over) {
  const test::TemporaryDirectory directory;
  std::ofstream(directory.path() / library.filename()) << "no library";
  const Folders folders(directory.path().string() + ":" + library.parent_path().string());
  const SharedLibrary opened({variable, library.filename().string(), ""});
  ASSERT_TRUE(opened) << opened.why_none();
  EXPECT_EQ(opened.path(), library.string());
}

TEST(SharedLibrary, that_is_nowhere_says_what_was_tried) {
  const Folders folders("/nowhere");
  const SharedLibrary missing({variable, "libswitchyard_nothing.so", "/elsewhere"});
  EXPECT_FALSE(missing);
  EXPECT_EQ(missing.path(), "");
  EXPECT_THAT(missing.why_none(), ::testing::StartsWith("/nowhere/libswitchyard_nothing.so: cannot open"));
  EXPECT_THAT(missing.why_none(), ::testing::HasSubstr("; libswitchyard_nothing.so: "));
  EXPECT_THAT(missing.why_none(), ::testing::HasSubstr("; /elsewhere/libswitchyard_nothing.so: "));
  EXPECT_EQ(missing.function<int (*)()>("switchyard_test_answer"), nullptr);
}

}  // namespace
}  // namespace switchyard
