#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "report/pages.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"
#include "unit/report/markup.hpp"

namespace switchyard::report {
namespace {

using test::step_line;
using test::write_file;
using testing::HasSubstr;
using testing::Not;

std::string page_of_folder(const std::filesystem::path& folder) { return page_of(folder, folder); }

void expect_whole(const std::string& page) {
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  for (const std::string& picture : test::pictures(page)) EXPECT_EQ(test::why_malformed(picture), "");
  EXPECT_THAT(page, Not(HasSubstr("nan"))) << "no number must be shown as a dash";
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST(RunPage, has_every_section_of_a_finished_run) {
  const test::TemporaryDirectory folder;
  test::write_run(folder.path());
  const std::string page = page_of_folder(folder.path());
  expect_whole(page);
  for (const char* section : {"warnings", "learning", "experts", "time", "configuration"}) {
    EXPECT_THAT(page, HasSubstr("<section id=\"" + std::string(section) + "\""));
  }
  for (const char* title :
       {"Loss", "Error", "Share of the experts", "Usage of the experts", "True class by expert (test)",
        "Predicted class by expert (validation, step 12)", "Entropies of the gate",
        "Mutual information of expert and class", "Dispatch entropy", "Time per step"}) {
    EXPECT_THAT(page, HasSubstr("<figcaption>" + std::string(title) + "</figcaption>"));
  }
}

TEST(RunPage, shows_clusters_and_names) {
  const test::TemporaryDirectory folder;
  test::write_run(folder.path());
  EXPECT_THAT(page_of_folder(folder.path()), Not(HasSubstr("Cluster by expert")));
  write_file(
      folder.path() / "summary.json",
      R"({"test":{"error":0.5,"h_s":1,"expert_share":[0.7,0.3],"class_by_expert":[[5,2],[2,1]],"classes":["upright","<rotated>"],)"
      R"("cluster_by_expert":[[4,0],[3,0],[0,3]],"clusters":["frog","aeroplane","ship"],"dispatch_entropy":0.5}})");
  const std::string page = page_of_folder(folder.path());
  expect_whole(page);
  EXPECT_THAT(page, HasSubstr("<figcaption>Cluster by expert (test)</figcaption>"));
  EXPECT_THAT(page, HasSubstr("cluster aeroplane, expert with the largest weight 0: 3,"));
  EXPECT_THAT(page, HasSubstr("true class &lt;rotated&gt;, expert with the largest weight 1: 1,"));
  EXPECT_THAT(page, HasSubstr("ln 3 = 1.099"));
}

TEST(RunPage, of_squared_errors_has_no_loss_in_nats) {
  const test::TemporaryDirectory folder;
  test::write_run(folder.path());
  EXPECT_THAT(page_of_folder(folder.path()), HasSubstr(">loss (nats)<"));
  write_file(folder.path() / "config.ini", "[model]\nloss = squared_error\n");
  const std::string page = page_of_folder(folder.path());
  EXPECT_THAT(page, HasSubstr(">loss (squared error)<"));
  EXPECT_THAT(page, Not(HasSubstr("id=\"test.loss\"")));
}

TEST(RunPage, shows_the_numbers_of_the_summary) {
  const test::TemporaryDirectory folder;
  test::write_run(folder.path());
  const std::string page = page_of_folder(folder.path());
  for (const char* number :
       {"id=\"test.error\" value=\"0.0425\">4.25%<", "id=\"test.loss\" value=\"0.40625\">0.4062<",
        "id=\"test.mi_predicted\" value=\"0.71\"", "id=\"test.mi_true\" value=\"0.61\"",
        "id=\"test.h_s\" value=\"0.0995\"", "id=\"test.h_u\" value=\"0.96875\"",
        "id=\"parameters\" value=\"123456\">123,456<", "id=\"steps\" value=\"12\"",
        "id=\"train.samples_per_second\" value=\"1234.5\"", "id=\"exit.code\" value=\"0\"",
        "id=\"final.train.dispatch_entropy\" value=\"0.21\"",
        "id=\"final.test.dispatch_entropy\" value=\"0.3125\""}) {
    EXPECT_THAT(page, HasSubstr(number));
  }
  EXPECT_THAT(page, HasSubstr("Dead experts: 1 of 2 (1)."));
  EXPECT_THAT(page, HasSubstr("dir = a&lt;b"));
  EXPECT_THAT(page, HasSubstr("log₂ 2 = 1.000"));
}

TEST(RunPage, of_an_unfinished_run_shows_what_there_is) {
  const test::TemporaryDirectory folder;
  write_file(folder.path() / "metrics.jsonl", step_line(1, 2.0) + step_line(2, 1.5) + R"({"kind":"st)");
  const std::string page = page_of_folder(folder.path());
  expect_whole(page);
  EXPECT_THAT(page, HasSubstr("The run has not finished"));
  EXPECT_THAT(page, HasSubstr("ends in the middle of a record"));
  EXPECT_THAT(page, HasSubstr("samples (load)")) << "shares come from the steps where nothing was evaluated";
  EXPECT_THAT(page, HasSubstr("id=\"train.samples_per_second\" value=\"100\""));
  EXPECT_THAT(page, Not(HasSubstr("Predicted class by expert"))) << "there is none";
}

TEST(RunPage, of_a_run_that_only_began) {
  const test::TemporaryDirectory folder;
  write_file(folder.path() / "config.ini", "[run]\nseed = 1\n");
  const std::string page = page_of_folder(folder.path());
  expect_whole(page);
  EXPECT_THAT(page, HasSubstr("There is no metrics.jsonl"));
  EXPECT_THAT(page, HasSubstr("Nothing was recorded."));
}

TEST(RunPage, of_a_model_of_numbers_has_no_classes) {
  const test::TemporaryDirectory folder;
  write_file(
      folder.path() / "metrics.jsonl",
      R"({"kind":"step","step":1,"samples":9,"loss":2.5,"mean_squared_error":2.5,"load":[5,4],"h_s":0.5,"h_u":0.5})"
      "\n"
      R"({"kind":"evaluation","split":"validation","step":1,"mean_squared_error":2,"r2":0.625,"expert_share":[0.5,0.5]})"
      "\n");
  const std::string page = page_of_folder(folder.path());
  expect_whole(page);
  EXPECT_THAT(page, HasSubstr("id=\"validation.r2\" value=\"0.625\""));
  EXPECT_THAT(page, HasSubstr("<figcaption>R²</figcaption>"));
  EXPECT_THAT(page, HasSubstr("<figcaption>Mean squared error</figcaption>"));
  EXPECT_THAT(page, Not(HasSubstr("Nothing was recorded")));
  EXPECT_THAT(page, Not(HasSubstr("<figcaption>Error")));
}

TEST(RunPage, says_when_the_run_failed_or_went_on) {
  const test::TemporaryDirectory folder;
  write_file(folder.path() / "metrics.jsonl", step_line(5, 2.0));
  write_file(folder.path() / "summary.json", R"({"steps":3,"exit":{"code":75,"reason":"signal <USR1>"}})");
  const std::string page = page_of_folder(folder.path());
  EXPECT_THAT(page, HasSubstr("exit code 75: signal &lt;USR1&gt;"));
  EXPECT_THAT(page, HasSubstr("the summary is of step 3, the last record of step 5"));
}

TEST(RunPage, says_that_long_series_are_averaged) {
  const test::TemporaryDirectory folder;
  std::string lines;
  for (int step = 1; step <= 500; ++step) lines += step_line(step, 1.0);
  write_file(folder.path() / "metrics.jsonl", lines);
  EXPECT_THAT(page_of_folder(folder.path()), HasSubstr("means of 2 neighbouring ones"));
}

TEST(PageOf, shows_the_keys_of_the_headline_that_the_run_has) {
  const test::TemporaryDirectory folder;
  test::write_run(folder.path());
  const Headline headline = {{"run.seed", "seed"}, {"moe.experts", "experts"}, {"train.epochs", "epochs"}};
  EXPECT_THAT(page_of(folder.path(), folder.path(), headline), HasSubstr(">seed 7 · experts 2<"));
}

TEST(PageOf, refuses_what_is_neither_run_nor_study) {
  const test::TemporaryDirectory folder;
  write_file(folder.path() / "file", "");
  const auto why = [](const std::filesystem::path& path) {
    try {
      page_of(path, path);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(why(folder.path()), HasSubstr("it holds neither"));
  EXPECT_THAT(why(folder.path() / "file"), HasSubstr("it is a file"));
  EXPECT_THAT(why(folder.path() / "gone"), HasSubstr("it does not exist"));
}

}  // namespace
}  // namespace switchyard::report
