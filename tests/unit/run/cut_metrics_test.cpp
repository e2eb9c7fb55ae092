#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/error.hpp"
#include "base/log.hpp"
#include "run/metrics.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::run {
namespace {

class CutMetrics : public testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "metrics.jsonl"; }
  void put(const std::string& text) const { std::ofstream(file(), std::ios::binary) << text; }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(file(), std::ios::binary).rdbuf();
    return text.str();
  }
  std::size_t files_in_folder() const {
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) ++files;
    return files;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(CutMetrics, keeps_the_step_itself_and_takes_out_later_ones) {
  put("{\"kind\":\"step\",\"step\":1}\n{\"step\":2}\n{\"kind\":\"evaluation\",\"step\":2}\n{\"step\":3}\n{"
      "\"step\":10}\n");
  EXPECT_EQ(cut_metrics(file(), 2), 2);
  EXPECT_EQ(content(), "{\"kind\":\"step\",\"step\":1}\n{\"step\":2}\n{\"kind\":\"evaluation\",\"step\":2}\n");
  EXPECT_EQ(files_in_folder(), 1U) << "a temporary file was left";
}

TEST_F(CutMetrics, changes_no_byte_of_the_lines_it_keeps) {
  const std::string lines =
      "{ \"step\" : 1, \"loss\":0.10000000000000001e0,\"nested\":{\"step\":99} }\n{\"note\":\"no step\"}\n";
  put(lines);
  EXPECT_EQ(cut_metrics(file(), 1), 0);
  EXPECT_EQ(content(), lines);
}

TEST_F(CutMetrics, takes_out_a_torn_last_line_wherever_it_was_torn) {
  const std::string whole = "{\"step\":1,\"load\":[3,4],\"time\":{\"gate\":0.25}}";
  for (std::size_t size = 1; size < whole.size(); ++size) {
    put(whole + "\n" + whole.substr(0, size));
    EXPECT_EQ(cut_metrics(file(), 5), 1) << "torn after " << size << " bytes";
    EXPECT_EQ(content(), whole + "\n") << "torn after " << size << " bytes";
  }
}

TEST_F(CutMetrics, ends_a_whole_last_line_that_lacks_its_line_break) {
  put("{\"step\":1}\n{\"step\":2}");
  EXPECT_EQ(cut_metrics(file(), 5), 0);
  EXPECT_EQ(content(), "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(CutMetrics, survives_garbage) {
  const std::string garbage[] = {std::string(5000, '\0'),
                                 "\xff\xfe\x80",
                                 "12",
                                 "[1]",
                                 "null",
                                 "{\"step\":\"1\"}",
                                 "",
                                 std::string(100000, '['),
                                 "{\"step\":1}{\"step\":1}",
                                 "{\"step\":1e999}"};
  for (const std::string& tail : garbage) {
    put("{\"step\":1}\n" + tail + "\n{\"step\":2}\n");
    EXPECT_EQ(cut_metrics(file(), 5), 1) << tail.substr(0, 40);
    EXPECT_EQ(content(), "{\"step\":1}\n{\"step\":2}\n") << tail.substr(0, 40);
  }
}

TEST_F(CutMetrics, empties_the_file_for_a_new_start) {
  put("{\"step\":0}\n{\"step\":1}\n");
  EXPECT_EQ(cut_metrics(file(), -1), 2);
  EXPECT_EQ(content(), "");
}

TEST_F(CutMetrics, leaves_a_missing_file_missing) {
  EXPECT_EQ(cut_metrics(file(), 3), 0);
  EXPECT_EQ(files_in_folder(), 0U);
}

// So many records as metrics.every_steps leaves.
TEST_F(CutMetrics, warns_of_a_gap_and_of_nothing_else) {
  const auto warning = [&](index_t step, index_t every) {
    log::set_up(0, 1);
    testing::internal::CaptureStderr();
    cut_metrics(file(), step, every);
    return testing::internal::GetCapturedStderr();
  };
  put("{\"kind\":\"step\",\"step\":4}\n{\"kind\":\"step\",\"step\":8}\n{\"kind\":\"evaluation\",\"step\":8}\n");
  EXPECT_EQ(warning(8, 4), "");
  EXPECT_EQ(warning(11, 4), "");
  EXPECT_NE(warning(12, 4).find("has 2 of the 3 steps before the checkpoint"), std::string::npos);
  EXPECT_NE(warning(8, 1).find("has 2 of the 8 steps"), std::string::npos);
}

TEST_F(CutMetrics, says_what_cannot_be_read) {
  std::filesystem::create_directory(file());
  EXPECT_THROW(cut_metrics(file(), 3), DataError);
  EXPECT_EQ(files_in_folder(), 1U) << "a temporary file was left";
}

}  // namespace
}  // namespace switchyard::run
