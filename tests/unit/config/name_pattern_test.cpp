#include "config/name_pattern.hpp"

#include <gtest/gtest.h>

namespace switchyard::config {
namespace {

bool matches(std::string_view pattern, const std::string& name) {
  return any_matches(parse_name_patterns(pattern), name);
}

bool covers(std::string_view pattern, const std::string& group) {
  return parse_name_patterns(pattern).at(0).covers(group);
}

TEST(NamePattern, without_a_wildcard_matches_a_name_or_a_whole_leading_part) {
  const std::string name = "experts/0003/dense_1/weight";
  for (const char* const pattern :
       {"experts", "experts/0003", "experts/0003/dense_1", "experts/0003/dense_1/weight"})
    EXPECT_TRUE(matches(pattern, name)) << pattern;
  for (const char* const pattern : {"expert", "experts/000", "experts/0003/dense", "0003", "dense_1/weight",
                                    "weight", "experts/0003/dense_1/weight/x", "gate"})
    EXPECT_FALSE(matches(pattern, name)) << pattern;
}

TEST(NamePattern, with_wildcards_is_a_shells) {
  const std::string name = "experts/0003/dense_1/weight";
  for (const char* const pattern : {"*", "experts/*", "e*", "*/weight", "experts/*/dense_1/*", "experts/000?",
                                    "experts/000[2-4]", "experts/*[37]/dense_1", "*3"})
    EXPECT_TRUE(matches(pattern, name)) << pattern;
  for (const char* const pattern : {"gate/*", "experts/00?", "experts/000[!3]", "*/bias", "?", "xperts*"})
    EXPECT_FALSE(matches(pattern, name)) << pattern;
}

TEST(NamePattern, covers_a_group_if_nothing_in_it_is_left_out) {
  for (const char* const pattern : {"gate", "gate/*", "gate*", "g*", "*", "all", "gat?", "*/*"})
    EXPECT_TRUE(covers(pattern, "gate")) << pattern;
  for (const char* const pattern :
       {"gat", "gate/dense_1", "gate/dense_1/*", "gate/d*", "*weight", "gate/?*", "experts/*"})
    EXPECT_FALSE(covers(pattern, "gate")) << pattern;
  EXPECT_TRUE(covers("experts/*", "experts/0003"));
  EXPECT_TRUE(covers("experts/000*", "experts/0003"));
  EXPECT_FALSE(covers("experts/000*", "experts"));
  EXPECT_FALSE(covers("experts/0003", "experts"));
}

TEST(NamePatterns, have_commas_or_spaces_between) {
  for (const char* const list : {"gate, experts/0001", "gate experts/0001", " gate ,\texperts/0001,"}) {
    const std::vector<NamePattern> patterns = parse_name_patterns(list);
    ASSERT_EQ(patterns.size(), 2u) << list;
    EXPECT_EQ(patterns[0].text(), "gate");
    EXPECT_EQ(patterns[1].text(), "experts/0001");
  }
  EXPECT_TRUE(matches("gate, experts/0001", "experts/0001/dense_1/bias"));
  EXPECT_FALSE(matches("gate, experts/0001", "experts/0002/dense_1/bias"));
}

TEST(NamePatterns, all_is_everything_and_none_alone_is_nothing) {
  EXPECT_TRUE(matches("all", "gate/dense_1/weight"));
  EXPECT_TRUE(matches("none, all", "gate/dense_1/weight"));
  EXPECT_TRUE(parse_name_patterns("none").empty());
  EXPECT_TRUE(parse_name_patterns(" ,").empty());
  EXPECT_EQ(parse_name_patterns("none, gate").size(), 2u);
}

}  // namespace
}  // namespace switchyard::config
