// The engine on a whole of its own: two sections, one of which only some configurations read.
#include "config/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/describe.hpp"
#include "config/field_table.hpp"
#include "config/ini.hpp"
#include "support/config_error.hpp"

namespace switchyard::config {
namespace {

using test::config_error_of;
using testing::ElementsAre;
using testing::HasSubstr;

enum class Kind { plain, odd };
struct Odd {
  std::int64_t number = 3;
};
struct Things {
  Kind kind = Kind::plain;
  std::vector<std::string> words = {"one"};
  Odd odd;
};
struct Whole {
  Things things;
};

constexpr std::array kind_words = {Word{Kind::plain, "plain"}, Word{Kind::odd, "odd"}};
constexpr FieldTable<Things> identity{Role::identity};
constexpr FieldTable<Odd> output{Role::output};
constexpr std::array things_fields = {identity.choice<&Things::kind, kind_words>("kind", "what kind"),
                                      identity.words<&Things::words>("words", "some words")};
constexpr std::array odd_fields = {output.integer<&Odd::number>("number", 1, 9, "of the odd kind")};

const Schema<Whole>& schema() {
  static const Schema<Whole> all = [] {
    Section odd = section_at<&Things::odd>("odd", "the odd kind", odd_fields);
    odd.is_in_use = [](const void* things) { return static_cast<const Things*>(things)->kind == Kind::odd; };
    odd.condition = "things.kind = odd";
    return Schema<Whole>(sections_at<&Whole::things>({{"things", "all", things_fields}, odd}), "see the list");
  }();
  return all;
}

TEST(Schema, reaches_structs_inside_structs) {
  Whole whole;
  schema().set(whole, "odd.number", "7", "test");
  EXPECT_EQ(whole.things.odd.number, 7);
  EXPECT_EQ(schema().text(whole, "odd.number"), "7");
  EXPECT_EQ(schema().default_text(schema().find("odd.number", "test")), "3");
  EXPECT_THAT(schema().names(), ElementsAre("things.kind", "things.words", "odd.number"));
}

TEST(Schema, reads_any_number_of_words) {
  Whole whole;
  schema().set(whole, "things.words", "a  b c", "test");
  EXPECT_THAT(whole.things.words, ElementsAre("a", "b", "c"));
  EXPECT_EQ(schema().text(whole, "things.words"), "a b c");
  schema().set(whole, "things.words", "", "test");
  EXPECT_TRUE(whole.things.words.empty());
  EXPECT_EQ(describe_values(*schema().find("things.words", "test").field), "words with spaces between");
}

TEST(Schema, says_where_its_keys_are_listed) {
  EXPECT_EQ(config_error_of([] { schema().find("odd.numbre", "a.ini:2"); }),
            "unknown key 'odd.numbre' (a.ini:2); did you mean 'odd.number'? see the list");
}

TEST(Schema, prints_and_reads_only_what_is_in_use) {
  Whole whole;
  EXPECT_EQ(schema().to_ini(whole), "[things]\nkind = plain\nwords = one\n");
  whole.things.kind = Kind::odd;
  whole.things.odd.number = 4;
  EXPECT_EQ(schema().to_ini(whole), "[things]\nkind = odd\nwords = one\n\n[odd]\nnumber = 4\n");
  EXPECT_EQ(parse_ini(schema(), schema().to_ini(whole), "stored").things.odd.number, 4);
}

TEST(Schema, refuses_a_key_of_a_section_that_is_not_in_use) {
  Whole whole;
  EXPECT_NO_THROW(schema().check(whole));
  whole.things.odd.number = 4;
  EXPECT_EQ(config_error_of([&] { schema().check(whole); }),
            "odd.number = 4 without things.kind = odd (nothing else reads the section [odd]); remove it");
  whole.things.kind = Kind::odd;
  EXPECT_NO_THROW(schema().check(whole));
  whole.things.odd.number = 10;
  EXPECT_THAT(config_error_of([&] { schema().check(whole); }), HasSubstr("odd.number = '10' is out of range"));
}

}  // namespace
}  // namespace switchyard::config
