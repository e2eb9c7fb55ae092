#include "base/utf8.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace switchyard {
namespace {

// All characters, from their numbers.
std::vector<std::string> characters() {
  std::vector<std::string> all;
  for (unsigned c = 0; c <= 0x10ffff; ++c) {
    if (c >= 0xd800 && c <= 0xdfff) continue;
    const auto byte = [](unsigned value) { return static_cast<char>(value); };
    const auto rest = [&](unsigned shift) { return byte(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x80) {
      all.push_back({byte(c)});
    } else if (c < 0x800) {
      all.push_back({byte(0xc0 | c >> 6), rest(0)});
    } else if (c < 0x10000) {
      all.push_back({byte(0xe0 | c >> 12), rest(6), rest(0)});
    } else {
      all.push_back({byte(0xf0 | c >> 18), rest(12), rest(6), rest(0)});
    }
  }
  return all;
}

TEST(Utf8, knows_every_character_and_its_beginnings) {
  for (const std::string& character : characters()) {
    ASSERT_EQ(character_bytes(character + "x"), character.size());
    ASSERT_EQ(unfinished_bytes("x" + character), 0U);
    for (std::size_t bytes = 1; bytes < character.size(); ++bytes) {
      ASSERT_EQ(character_bytes(character.substr(0, bytes)), 0U);
      ASSERT_EQ(unfinished_bytes("x" + character.substr(0, bytes)), bytes);
    }
  }
}

TEST(Utf8, does_not_wait_for_what_can_be_none) {
  for (const char* text : {"\x80", "\xbf", "\xc0", "\xc1", "\xf5", "\xff", "\xe0\x80", "\xed\xa0", "\xf0\x80",
                           "\xf4\x90", "\xe2\x82x", "\xf0\x9fx"}) {
    EXPECT_EQ(character_bytes(text), 0U) << text;
    EXPECT_EQ(unfinished_bytes(text), 0U) << text;
  }
  EXPECT_EQ(unfinished_bytes(""), 0U);
  EXPECT_EQ(unfinished_bytes("\x80\xe2"), 1U);
}

}  // namespace
}  // namespace switchyard
