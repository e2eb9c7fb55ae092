#include <sstream>

#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

// The words of the line that begins with `first`.
std::vector<std::string> words_after(const std::string& text, const std::string& first) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty() || words.front() != first) continue;
    words.erase(words.begin());
    return words;
  }
  return {"no line begins with " + first};
}

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Inspect, shows_state_arrays_and_totals) {
  TemporaryDirectory folder;
  Content content = small_content();
  const fs::path file = save_from(1, folder.path(), 200, content);
  const std::string text = inspect(file);
  EXPECT_THAT(words_after(text, "checkpoint"), ElementsAre(file.string()));
  EXPECT_THAT(words_after(text, "size"), ElementsAre(std::to_string(fs::file_size(file)), "bytes"));
  EXPECT_THAT(words_after(text, "schema_version"), ElementsAre("2"));
  EXPECT_THAT(words_after(text, "state/step"), ElementsAre("200"));
  EXPECT_THAT(words_after(text, "state/seed"), ElementsAre("-7"));
  EXPECT_THAT(words_after(text, "state/loss"), ElementsAre("0.1"));
  EXPECT_THAT(words_after(text, "build"), ElementsAre("switchyard", "0.1"));
  EXPECT_THAT(words_after(text, "config")[0], "2");

  // 0, 1, -2, 0.5, -0: both zeros are zeros.
  EXPECT_THAT(words_after(text, "parameters/gate/dense_1/bias"),
              ElementsAre("float32", "5", "-2", "1", "-0.1", "40.0%"));
  // 500 to 547.
  EXPECT_THAT(words_after(text, "parameters/expert_5/weight"),
              ElementsAre("float32", "3", "x", "2", "x", "2", "x", "4", "500", "547", "523.5", "0.0%"));
  EXPECT_THAT(words_after(text, "parameters/scale"),
              ElementsAre("float32", "scalar", "2.5", "2.5", "2.5", "0.0%"));
  EXPECT_THAT(words_after(text, "parameters/nothing"),
              ElementsAre("float32", "0", "x", "5", "-", "-", "-", "-"));
  // 1/3, NaN, the smallest denormal (no zero, whatever the processor's mode), -1e300.
  EXPECT_THAT(words_after(text, "statistics/importance"),
              ElementsAre("float64", "4", "-1e+300", "0.333333", "nan", "0.0%", "1", "NaN"));
  EXPECT_THAT(words_after(text, "statistics/load"),
              ElementsAre("int64", "2", "x", "2", "-2", "4.61169e+18", "1.15292e+18", "25.0%"));

  // 35 + 5 + 12 * 48 + 1 + 0 elements.
  EXPECT_THAT(words_after(text, "parameters"), ElementsAre("16", "617", "2468"));
  EXPECT_THAT(words_after(text, "optimizer"), ElementsAre("1", "35", "140"));
  EXPECT_THAT(words_after(text, "all"), ElementsAre("19", "660", "2672"));
}

TEST(Inspect, aligns_its_columns) {
  TemporaryDirectory folder;
  Content content = small_content();
  std::istringstream lines(inspect(save_from(1, folder.path(), 200, content)));
  std::size_t type_column = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("array ")) type_column = line.find("type");
    if (type_column == 0 || !line.starts_with("parameters/")) continue;
    EXPECT_EQ(line.substr(type_column, 8), "float32 ") << line;
    EXPECT_EQ(line[type_column - 1], ' ') << line;
  }
  EXPECT_GT(type_column, 0u);
}

}  // namespace
}  // namespace switchyard::checkpoint
