#include "config/describe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "run/config.hpp"

namespace switchyard::run {
namespace {

std::string values(std::string_view key) { return config::describe_values(*schema().find(key, "test").field); }

TEST(Describe, says_which_values) {
  EXPECT_EQ(values("run.threads"), "whole number from 0 to 1024");
  EXPECT_EQ(values("optim.learning_rate"), "number above 0");
  EXPECT_EQ(values("optim.clip_norm"), "number, at least 0");
  EXPECT_EQ(values("optim.beta1"), "number from 0 to below 1");
  EXPECT_EQ(values("run.wait_seconds"), "number from 1 to 86400 (seconds)");
  EXPECT_EQ(values("data.mean"), "any number; or several, with a space between");
  EXPECT_EQ(values("data.dir"), "text without '#'");
  EXPECT_EQ(values("run.device"), "auto, cpu or cuda");
}

TEST(Describe, says_the_default) {
  EXPECT_EQ(schema().default_text(schema().find("optim.learning_rate", "test")), "0.001");
  EXPECT_EQ(schema().default_text(schema().find("run.device", "test")), "auto");
  EXPECT_EQ(schema().default_text(schema().find("data.dir", "test")), "");
}

TEST(Markdown, has_a_row_for_every_key) {
  const std::string page = config::markdown_tables(schema());
  EXPECT_THAT(page, testing::HasSubstr("\n## [optim]: the optimiser and its schedule\n"));
  EXPECT_THAT(page, testing::HasSubstr("\n| `learning_rate` | `0.001` | number above 0 | "));
  for (const std::string& key : schema().names()) {
    EXPECT_THAT(page, testing::HasSubstr("\n| `" + key.substr(key.find('.') + 1) + "` | ")) << key;
  }
}

// A bar inside a cell, such as that of a partition, would begin another one.
TEST(Markdown, has_four_cells_in_every_row) {
  std::istringstream page(config::markdown_tables(schema()));
  bool found_a_bar = false;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `")) continue;
    int ends = 0;
    for (std::size_t i = 1; i < line.size(); ++i) {
      if (line[i] != '|') continue;
      const bool inside = line[i - 1] == '\\';
      found_a_bar = found_a_bar || inside;
      ends += inside ? 0 : 1;
    }
    EXPECT_EQ(ends, 4) << line;
  }
  EXPECT_TRUE(found_a_bar);
}

TEST(OptionsHelp, lists_every_key_with_values_and_default_in_columns) {
  const std::string help = config::options_help(schema());
  for (const std::string& key : schema().names()) EXPECT_THAT(help, testing::HasSubstr("\n  --" + key + " "));
  EXPECT_THAT(help, testing::ContainsRegex("\n\\[moe\\] the mixture of experts\n"
                                           "  --moe.experts +how many, on all ranks together\n"
                                           " +whole number from 1 to 1000000 \\(experts\\); default 5\n"
                                           "  --moe.top_k +experts that see"));
  EXPECT_THAT(help, testing::HasSubstr("number above 0; default 0.001\n"));
  EXPECT_THAT(help, testing::HasSubstr("  text without '#'; no default\n"));
}

}  // namespace
}  // namespace switchyard::run
