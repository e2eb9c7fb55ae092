#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "report/pages.hpp"
#include "report/study_data.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"
#include "unit/report/markup.hpp"

namespace switchyard::report {
namespace {

using testing::HasSubstr;
using testing::Not;

class StudyPage : public testing::Test {
 protected:
  void SetUp() override { test::write_study(folder_.path()); }
  std::string failure(std::string_view study) {
    test::write_file(folder_.path() / "study.json", study);
    try {
      page_of(folder_.path(), folder_.path());
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
  test::TemporaryDirectory folder_;
};

TEST_F(StudyPage, has_every_section) {
  const std::string page = page_of(folder_.path(), folder_.path());
  for (const char* section : {"warnings", "results", "spread", "differences", "curves", "runs"}) {
    EXPECT_THAT(page, HasSubstr("<section id=\"" + std::string(section) + "\""));
  }
  for (const std::string& picture : test::pictures(page)) EXPECT_EQ(test::why_malformed(picture), "");
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, HasSubstr("<h1>Study small &lt;study&gt;</h1>"));
  EXPECT_THAT(page, HasSubstr("Other &amp; &lt;more&gt;"));
}

TEST_F(StudyPage, shows_the_numbers) {
  const std::string page = page_of(folder_.path(), folder_.path());
  EXPECT_THAT(page, HasSubstr("<data value=\"0.1875\">18.75%</data> ± <data value=\"0.0884\">8.84%</data>"));
  EXPECT_THAT(page, HasSubstr("<data value=\"0.11\">11.00%</data> ± <data value=\"0.02\">2.00%</data>"));
  EXPECT_THAT(page, HasSubstr("moe.importance = 0.2"));
  EXPECT_THAT(page, HasSubstr("chosen (by validation.error)"));
  EXPECT_THAT(page, HasSubstr("1 run failed: Other &amp; &lt;more&gt; (1)."));
  EXPECT_THAT(page, HasSubstr("Other &amp; &lt;more&gt; (n = 1): 25.00%, interval from 12.50% to 37.50%"));
  EXPECT_THAT(page, HasSubstr("published: 0.4000 at 3"));
  EXPECT_THAT(page, HasSubstr("published: 2.250 ± 0.1250 at 2"));
}

TEST_F(StudyPage, links_to_the_folders_that_are_there_from_where_the_page_is) {
  EXPECT_THAT(page_of(folder_.path(), folder_.path()), HasSubstr("href=\"runs/plain/seed-1/\""));
  const std::string page = page_of(folder_.path(), folder_.path() / "runs" / "a b");
  EXPECT_THAT(page, HasSubstr("href=\"../plain/seed-1/\""));
  EXPECT_THAT(page, Not(HasSubstr("other/seed-1/\"")));
}

TEST_F(StudyPage, draws_curves_of_finished_runs_alone) {
  const std::string page = page_of(folder_.path(), folder_.path());
  EXPECT_THAT(page, HasSubstr("mean of 2 runs"));
  EXPECT_THAT(page, Not(HasSubstr("mean of 1 run"))) << "the other arm's only folder is of a failed run";
}

TEST_F(StudyPage, does_without_run_folders_and_optional_members) {
  std::filesystem::remove_all(folder_.path() / "runs");
  EXPECT_THAT(page_of(folder_.path(), folder_.path()), HasSubstr("published: 0.4000 at 3"));
  EXPECT_EQ(failure(R"({"arms":[{"name":"a"}]})"), "");
  EXPECT_EQ(failure(R"({"arms":[{}],"metrics":[1,"m"],"published":[{"value":null}],"differences":[3]})"), "");
}

TEST_F(StudyPage, refuses_a_broken_study) {
  EXPECT_THAT(failure("{\"arms\":"), HasSubstr("is no JSON object"));
  EXPECT_THAT(failure("{}"), HasSubstr("lists no arms"));
  EXPECT_THAT(failure(R"({"arms":3})"), HasSubstr("lists no arms"));
}

TEST(ReadStudy, tells_final_values_from_points_of_curves) {
  const test::TemporaryDirectory folder;
  test::write_study(folder.path());
  const StudyData study = read_study(folder.path());
  EXPECT_EQ(find_published(study.published, "plain", "loss"), nullptr) << "it has a step";
  ASSERT_NE(find_published(study.published, "plain", "test.error"), nullptr);
  EXPECT_EQ(study.title_of("other"), "Other & <more>");
  EXPECT_EQ(study.title_of("unknown"), "unknown");
}

}  // namespace
}  // namespace switchyard::report
