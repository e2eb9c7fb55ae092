#include "report/run_data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"

namespace switchyard::report {
namespace {

using test::evaluation_line;
using test::step_line;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

class ReadRun : public testing::Test {
 protected:
  RunData read(std::string_view metrics) {
    write_file(folder_.path() / "metrics.jsonl", metrics);
    return read_run(folder_.path());
  }
  std::string failure(std::string_view metrics) {
    try {
      read(metrics);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
  test::TemporaryDirectory folder_;
};

TEST_F(ReadRun, takes_all_files) {
  test::write_run(folder_.path());
  const RunData run = read_run(folder_.path());
  EXPECT_EQ(run.settings.at("moe.experts"), "2");
  EXPECT_EQ(run.steps.records, 12);
  EXPECT_EQ(run.steps.samples, 1200);
  EXPECT_EQ(run.steps.points("loss").at(1).y, 1.5);
  EXPECT_TRUE(run.steps.points("nothing").empty());
  EXPECT_THAT(run.steps.phase_totals, ElementsAre(3, 0, 0, 9, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(run.evaluations.size(), 3U);
  EXPECT_EQ(run.experts(), 2);
  EXPECT_FALSE(run.torn_line);
}

TEST_F(ReadRun, prefers_the_test_split_and_says_where_a_number_is_from) {
  test::write_run(folder_.path());
  const RunData run = read_run(folder_.path());
  EXPECT_EQ(find_evaluation(run, "error").of, "test");
  EXPECT_EQ(number_of(find_evaluation(run, "error").object, "error"), 0.0425);
  EXPECT_EQ(find_evaluation(run, "importance_share").of, "validation, step 12");
  EXPECT_TRUE(find_evaluation(run, "nothing").object.is_null());
}

TEST_F(ReadRun, leaves_out_a_torn_last_line) {
  for (const std::string_view torn : {R"({"kind":"step","st)", "{\"kind\":\"step\",\"st\n", "7", "{}"}) {
    const RunData run = read(step_line(1, 2.0) + std::string(torn));
    EXPECT_TRUE(run.torn_line) << torn;
    EXPECT_EQ(run.steps.records, 1) << torn;
  }
  EXPECT_FALSE(read(step_line(1, 2.0)).torn_line);
}

TEST_F(ReadRun, refuses_a_broken_line_before_the_last_and_names_it) {
  for (const std::string_view broken :
       {"{\"kind\":\"st", "[1]", "{\"kind\":3,\"step\":1}", "{\"kind\":\"step\"}"}) {
    const std::string why = failure(step_line(1, 2.0) + std::string(broken) + "\n" + step_line(2, 1.0));
    EXPECT_THAT(why, HasSubstr("line 2 of '")) << broken;
    EXPECT_THAT(why, HasSubstr("switchyard resume")) << broken;
  }
}

TEST_F(ReadRun, refuses_a_broken_summary) {
  write_file(folder_.path() / "summary.json", "{\"steps\": 1");
  EXPECT_THAT(failure(""), HasSubstr("summary.json' is no JSON object"));
}

TEST_F(ReadRun, passes_over_what_it_does_not_know_and_what_is_no_number) {
  const RunData run = read(R"({"kind":"new","step":1,"loss":5})"
                           "\n\n" +
                           step_line(1, 2.0, R"(,"x":{"y":[]},"dispatch_entropy":null)") +
                           R"({"kind":"step","step":2,"loss":null,"load":"many","time":3})" + "\n");
  EXPECT_EQ(run.steps.records, 2);
  EXPECT_EQ(run.steps.without_loss, 1);
  EXPECT_EQ(run.steps.points("loss").size(), 1U);
  EXPECT_TRUE(run.steps.points("dispatch_entropy").empty());
}

TEST_F(ReadRun, keeps_tables_of_the_last_evaluation_only) {
  const RunData run = read(evaluation_line(4, 1, 0.5) + evaluation_line(8, 2, 0.25));
  EXPECT_TRUE(member(run.evaluations[0], "class_by_expert").is_null());
  EXPECT_EQ(find_evaluation(run, "class_by_expert").of, "validation, step 8");
}

TEST_F(ReadRun, averages_a_long_run) {
  std::string lines;
  for (int step = 1; step <= 1000; ++step) lines += step_line(step, step);
  const RunData run = read(lines);
  const auto points = run.steps.points("loss");
  EXPECT_LE(points.size(), 400U);
  EXPECT_EQ(points.front().y, 2.5) << "the mean of 1, 2, 3 and 4";
}

TEST(CountsOf, wants_a_whole_table) {
  EXPECT_EQ(counts_of(Json::parse(R"({"t":[[1,2],[3,4]]})"), "t").at(1).at(0), 3);
  for (const char* bad : {R"({})", R"({"t":3})", R"({"t":[1]})", R"({"t":[[1],[1,2]]})", R"({"t":[[1.5]]})"}) {
    EXPECT_TRUE(counts_of(Json::parse(bad), "t").empty()) << bad;
  }
}

}  // namespace
}  // namespace switchyard::report
