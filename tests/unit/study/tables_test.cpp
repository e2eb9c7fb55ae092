#include "study/tables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "support/config_error.hpp"

namespace switchyard::study {
namespace {

using switchyard::test::config_error_of;
using testing::HasSubstr;
using testing::Not;

RunResult finished(std::int64_t seed, double error, double select_by) {
  return {.seed = seed,
          .folder = "runs/x",
          .status = RunStatus::finished,
          .metrics = {error},
          .select_by = select_by,
          .has_validation = true};
}

RunResult failed(std::int64_t seed) {
  return {.seed = seed,
          .folder = "runs/x",
          .status = RunStatus::failed,
          .metrics = {std::nullopt},
          .select_by = {},
          .has_validation = false};
}

RunResult missing(std::int64_t seed) {
  RunResult run = failed(seed);
  run.status = RunStatus::missing;
  return run;
}

RunResult without_validation(std::int64_t seed) {
  RunResult run = failed(seed);
  run.status = RunStatus::finished;
  run.metrics = {0.5};
  return run;
}

Results two_arms() {
  Results results{.name = "s", .options = {}, .arms = {}};
  results.options.baseline = "plain";
  ArmResult plain{.name = "plain", .title = "Plain", .selected = 0, .values = {}, .candidates = {}, .runs = {}};
  plain.runs = {finished(1, 0.5, 0.3), finished(2, 0.7, 0.2), finished(3, 0.6, 0.4)};
  ArmResult other = plain;
  other.name = "other";
  other.title = "Other";
  other.values = {{"moe.top_k", "2"}};
  other.candidates = {{{{"moe.top_k", "1"}}, {failed(1), finished(2, 0.1, 0.1)}},
                      {{{"moe.top_k", "2"}}, {finished(1, 0.2, 0.4), finished(2, 0.2, 0.2)}}};
  other.selected = 1;
  other.runs = {finished(1, 0.4, 0.3), failed(2), finished(3, 0.3, 0.1)};
  results.arms = {plain, other};
  return results;
}

TEST(StudyResults, selection_prefers_what_never_failed_then_the_smallest_mean) {
  const auto candidates = two_arms().arms[1].candidates;
  EXPECT_EQ(best_candidate(candidates), 1u);
  EXPECT_EQ(best_candidate({candidates[1], candidates[1]}), 0u);
  Candidate better = candidates[1];
  better.runs[0].select_by = 0.1;
  EXPECT_EQ(best_candidate({candidates[1], better}), 1u);
  EXPECT_EQ(best_candidate({{{}, {failed(1)}}}), std::nullopt);
}

TEST(StudyResults, the_best_run_has_the_smallest_select_by) {
  EXPECT_EQ(best_run(two_arms().arms[0].runs)->seed, 2);
  EXPECT_EQ(best_run({failed(1)}), nullptr);
}

TEST(StudyResults, without_select_by_no_run_is_the_best) {
  Results results = two_arms();
  EXPECT_THAT(results_markdown(results, {}), Not(HasSubstr("no run has that number")));
  for (RunResult& run : results.arms[0].runs) run = without_validation(run.seed);
  EXPECT_EQ(best_run(results.arms[0].runs), nullptr);
  const std::string text = results_markdown(results, {});
  EXPECT_THAT(
      text, HasSubstr("| Plain | - | - |\n| Other | 3 | 0.3 |\n\n"
                      "Plain: no run has that number (there is no validation split), so none is the best.\n"));
  EXPECT_THAT(text, Not(HasSubstr("Other: no run")));
  EXPECT_TRUE(results_object(results, {})["arms"][0]["summary"]["test.error"]["best"].is_null());
  results.options.select_by = "test.layers.1.h_u";
  EXPECT_THAT(results_markdown(results, {}), HasSubstr("(their summary.json holds no such number)"));
}

TEST(StudyResults, a_study_in_which_nothing_could_be_selected_says_so) {
  Results results = two_arms();
  EXPECT_EQ(outcome_of(results).code, ExitCode::ok);
  results.arms.erase(results.arms.begin());
  ArmResult& arm = results.arms[0];
  arm.selected.reset();
  arm.runs = {missing(1), missing(2)};
  arm.candidates = {{{{"moe.top_k", "1"}}, {failed(1), without_validation(2)}}};
  EXPECT_EQ(outcome_of(results).code, ExitCode::config);
  EXPECT_EQ(outcome_of(results).reason,
            "no run that selects values of the arm other has study.select_by = validation.error (there is no "
            "validation split); name a number that they have, such as train.loss");
  EXPECT_THAT(results_markdown(results, {}),
              HasSubstr("Other: nothing was selected, since no run has validation.error (there is no "
                        "validation split).\n"));
  arm.candidates = {{{{"moe.top_k", "1"}}, {failed(1), failed(2)}}};
  EXPECT_EQ(outcome_of(results).code, ExitCode::numeric);
  EXPECT_THAT(outcome_of(results).reason, HasSubstr("every run of the study failed or was skipped"));
}

TEST(StudyResults, differences_are_taken_by_seed) {
  const Results results = two_arms();
  const Interval found = paired_difference(results.arms[1], results.arms[0], 0);
  EXPECT_EQ(found.n, 2);  // seed 2 failed: -0.1 and -0.3 are left, their deviation is 0.2 / sqrt(2)
  EXPECT_NEAR(found.mean, -0.2, 1e-12);
  EXPECT_NEAR(found.low, -0.2 - std::tan(0.475 * M_PI) * 0.1, 1e-9);
}

TEST(StudyTables, csv_has_a_row_per_run) {
  Results results = two_arms();
  results.arms[1].values = {{"model.gate", "a, \"b\""}};
  EXPECT_EQ(results_csv(results),
            "stage,arm,seed,values,status,test.error\n"
            "result,plain,1,,finished,0.5\nresult,plain,2,,finished,0.7\nresult,plain,3,,finished,0.6\n"
            "selection,other,1,moe.top_k=1,failed,\nselection,other,2,moe.top_k=1,finished,0.1\n"
            "selection,other,1,moe.top_k=2,finished,0.2\nselection,other,2,moe.top_k=2,finished,0.2\n"
            "result,other,1,\"model.gate=a, \"\"b\"\"\",finished,0.4\n"
            "result,other,2,\"model.gate=a, \"\"b\"\"\",failed,\n"
            "result,other,3,\"model.gate=a, \"\"b\"\"\",finished,0.3\n");
}

TEST(StudyTables, markdown_has_means_the_best_published_values_and_differences) {
  const auto published = parse_published("arm,metric,step,value,std\nplain,test.error,,0.55,0.02\n", "p.csv");
  const std::string text = results_markdown(two_arms(), published);
  EXPECT_THAT(text, HasSubstr("| Plain | 3 | 0.6 ± 0.1 | 0 | 0 | - | 0 |\n"));
  EXPECT_THAT(text, HasSubstr("| Other | 2 | 0.35 ± 0.071 | 1 | 0 | moe.top_k=2 | 4 |\n"));
  EXPECT_THAT(text, HasSubstr("| Plain | 2 | 0.7 | 0.55 ± 0.02 |\n"));
  EXPECT_THAT(text, HasSubstr("## Differences to Plain"));
  EXPECT_THAT(text, HasSubstr("| Other | test.error | 2 | -0.2 | -1.47 to +1.07 |\n"));
}

TEST(StudyTables, say_what_was_skipped) {
  Results results = two_arms();
  results.arms[1].runs[1].status = RunStatus::skipped;
  EXPECT_THAT(results_csv(results), HasSubstr("\nresult,other,2,moe.top_k=2,skipped,\n"));
  EXPECT_THAT(results_markdown(results, {}),
              HasSubstr("| Other | 2 | 0.35 ± 0.071 | 0 | 1 | moe.top_k=2 | 4 |\n"));
  EXPECT_EQ(results_object(results, {})["arms"][1]["runs"][1]["status"], "skipped");
}

TEST(StudyTables, object_has_what_readers_expect) {
  const auto published = parse_published("arm,metric,step,value,std\nplain,test.error,10,0.55,\n", "p.csv");
  const nlohmann::ordered_json object = results_object(two_arms(), published);
  EXPECT_EQ(object["arms"][1]["values"].dump(), R"({"moe.top_k":"2"})");
  EXPECT_EQ(object["arms"][1]["runs"][1].dump(),
            R"({"seed":2,"folder":"runs/x","status":"failed","metrics":{}})");
  EXPECT_EQ(object["arms"][0]["summary"]["test.error"]["best"], 0.7);
  EXPECT_EQ(object["arms"][1]["selection"][0]["failed"], 1);
  EXPECT_TRUE(object["arms"][1]["selection"][0]["std"].is_null());
  EXPECT_EQ(object["differences"][0]["arm"], "other");
  EXPECT_EQ(object["published"].dump(),
            R"([{"arm":"plain","metric":"test.error","step":10.0,"value":0.55,"std":null}])");
}

TEST(StudyPublished, refuses_what_is_no_table) {
  const auto refusal = [](const std::string& text) {
    return config_error_of([&] { parse_published(text, "p.csv"); });
  };
  const std::string head = "arm,metric,step,value,std\r\n";
  EXPECT_EQ(parse_published(head + "a,m,,1,\r\n\r\n", "p.csv").size(), 1u);
  EXPECT_THAT(refusal("arm,value\n"), HasSubstr("(p.csv:1); write arm,metric,step,value,std"));
  EXPECT_THAT(refusal(head + "a,m,1\n"), HasSubstr("does not have 5 columns (p.csv:2)"));
  EXPECT_THAT(refusal(head + "a,m,1,2,3,4\n"), HasSubstr("does not have 5 columns (p.csv:2)"));
  EXPECT_THAT(refusal(head + "a,m,,one,\n"), HasSubstr("value = 'one' is not a number (p.csv:2)"));
  EXPECT_THAT(refusal(head + "a,m,,,\n"), HasSubstr("value = '' is not a number"));
}

}  // namespace
}  // namespace switchyard::study
