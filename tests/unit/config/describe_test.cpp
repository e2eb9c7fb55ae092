#include "config/describe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/parse.hpp"

namespace switchyard::config {
namespace {

std::string values(std::string_view key) { return describe_values(find_field(key, "test")); }

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
  EXPECT_EQ(describe_default(find_field("optim.learning_rate", "test")), "0.001");
  EXPECT_EQ(describe_default(find_field("run.device", "test")), "auto");
  EXPECT_EQ(describe_default(find_field("data.dir", "test")), "");
}

TEST(Markdown, has_a_row_for_every_key) {
  const std::string page = configuration_markdown();
  EXPECT_THAT(page, testing::HasSubstr("\n## [optim]: the optimiser and its schedule\n"));
  EXPECT_THAT(page, testing::HasSubstr("\n| `learning_rate` | `0.001` | number above 0 | "));
  for (const std::string& key : known_keys()) {
    EXPECT_THAT(page, testing::HasSubstr("\n| `" + key.substr(key.find('.') + 1) + "` | ")) << key;
  }
}

// A bar inside a cell, such as that of a partition, would begin another one.
TEST(Markdown, has_four_cells_in_every_row) {
  std::istringstream page(configuration_markdown());
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

TEST(Markdown, is_what_the_documentation_holds) {
  const std::string path = SY_SOURCE_DIR "/docs/configuration.md";
  std::ostringstream page;
  page << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_EQ(page.str(), configuration_markdown())
      << path << " is out of date; run: switchyard help configuration > docs/configuration.md";
}

}  // namespace
}  // namespace switchyard::config
