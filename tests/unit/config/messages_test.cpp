#include "config/messages.hpp"

#include <gtest/gtest.h>

#include <array>

namespace switchyard::config {
namespace {

TEST(EditDistance, counts_insertions_deletions_and_replacements) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("sunday", "saturday"), 3u);
}

TEST(Nearest, takes_the_least_distance_and_the_first_of_equals) {
  const std::array<std::string_view, 3> words = {"dense", "conv", "relu"};
  EXPECT_EQ(nearest("dens", words), "dense");
  EXPECT_EQ(nearest("relo", words), "relu");
  EXPECT_EQ(nearest("", words), "conv");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), words), "dense");
}

TEST(InQuotes, is_fit_for_a_terminal) {
  EXPECT_EQ(in_quotes("a b"), "'a b'");
  EXPECT_EQ(in_quotes(std::string_view("\x1b[2J\0", 5)), "'\\x1b[2J\\x00'");
  EXPECT_EQ(in_quotes("größe"), "'größe'");
  EXPECT_EQ(in_quotes(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
}

TEST(OneOf, reads_as_a_sentence) {
  const std::array<std::string_view, 3> words = {"auto", "cpu", "cuda"};
  EXPECT_EQ(one_of(words), "auto, cpu or cuda");
  EXPECT_EQ(one_of(std::span(words).first(2)), "auto or cpu");
  EXPECT_EQ(one_of(std::span(words).first(1)), "auto");
}

}  // namespace
}  // namespace switchyard::config
