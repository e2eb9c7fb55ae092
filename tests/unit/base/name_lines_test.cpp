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
  EXPECT_EQ(printable("K\xe4se\xc3"), "K?se?") << "Latin-1";
}

TEST(NameLines, say_what_keeps_them_from_telling_things_apart) {
  EXPECT_EQ(flaw_of(std::vector<std::string>{"cat", "Cat", "a dog"}), "");
  EXPECT_EQ(flaw_of(std::vector<std::string>{"cat", "dog", "cat"}), "the name cat twice");
  EXPECT_EQ(flaw_of(std::vector<std::string>{"cat", ""}), "an empty name");
  EXPECT_EQ(flaw_of(std::vector<std::string>{std::string(256, 'a')}), "");
  EXPECT_EQ(flaw_of(std::vector<std::string>{std::string(257, 'a')}),
            "a name of 257 bytes (at most 256 are read)");
}

}  // namespace
}  // namespace switchyard
