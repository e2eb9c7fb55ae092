#include "base/name_lines.hpp"

#include <gmock/gmock.h>

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NameLines, come_back_as_they_were) {
  EXPECT_EQ(lines_of({"cat", "", "a dog"}), "cat\n\na dog\n");
  EXPECT_THAT(names_on_lines("cat\n\na dog\n"), ElementsAre("cat", "", "a dog"));
  EXPECT_EQ(lines_of({}), "");
  EXPECT_THAT(names_on_lines(""), IsEmpty());
}

TEST(NameLines, end_with_the_last_line_break) {
  EXPECT_THAT(names_on_lines(std::string_view("cat\ndo\0\0", 8)), ElementsAre("cat"));
}

TEST(NameLines, show_no_control_characters) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a?b?[31m?");
  EXPECT_EQ(printable("Käse"), "Käse");
}

}  // namespace
}  // namespace switchyard
