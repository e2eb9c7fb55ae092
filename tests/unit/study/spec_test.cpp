#include "study/spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "study/check.hpp"
#include "study/jobs.hpp"
#include "support/config_error.hpp"
#include "unit/study/fixture.hpp"

namespace switchyard::study {
namespace {

using switchyard::test::config_error_of;
using test::Line;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Line> with(std::vector<Line> lines, const Line& line) {
  lines.push_back(line);
  return lines;
}

std::string refusal_of(const Line& line) {
  return config_error_of([&] { test::spec_of(with(test::two_arms(), line)); });
}

TEST(StudySpec, holds_the_arms_in_the_order_of_the_file) {
  const Spec spec = test::spec_of(test::two_arms());
  ASSERT_EQ(spec.arms.size(), 2u);
  EXPECT_EQ(spec.arms[0].name, "plain");
  EXPECT_EQ(spec.arms[0].title, "plain");
  EXPECT_EQ(spec.arms[0].config_file, "base.ini");  // beside configs/
  EXPECT_EQ(spec.arms[0].base.train.epochs, 7);
  EXPECT_EQ(spec.arms[1].title, "With a grid");
  EXPECT_EQ(spec.arms[1].config_file, "configs/base.ini");
  EXPECT_THAT(spec.arms[1].after, ElementsAre("plain"));
  EXPECT_EQ(spec.options.seeds, 3);
  EXPECT_EQ(spec.options.select_by, "validation.error");
}

TEST(StudySpec, quick_replaces_study_and_all_and_the_command_line_wins) {
  std::vector<Line> lines = test::two_arms();
  lines.insert(lines.end(), {{"quick", "", ""},
                             {"quick", "seeds", "1"},
                             {"quick", "selection_seeds", "1"},
                             {"quick", "moe.experts", "2"},
                             {"quick", "train.epochs", "1"}});
  const Spec plain = test::spec_of(lines);
  EXPECT_EQ(plain.options.seeds, 3);
  EXPECT_EQ(plain.all.size(), 1u);
  const Spec quick = test::spec_of(lines, {{"", "study.quick", "yes"}, {"", "study.seeds", "5"}});
  EXPECT_EQ(quick.options.seeds, 5);
  EXPECT_EQ(quick.options.selection_seeds, 1);
  ASSERT_EQ(quick.all.size(), 2u);
  EXPECT_EQ(quick.all[0].key, "moe.experts");
  EXPECT_EQ(quick.all[0].value, "2");
  EXPECT_EQ(quick.all[1].key, "train.epochs");
}

TEST(StudySpec, a_key_of_a_run_on_the_command_line_is_one_of_all) {
  std::vector<Line> lines = test::two_arms();
  lines.insert(lines.end(), {{"quick", "", ""}, {"quick", "train.epochs", "1"}});
  const Spec spec = test::spec_of(
      lines, {{"", "study.quick", "yes"}, {"", "train.epochs", "4"}, {"", "data.dir", "/elsewhere"}});
  ASSERT_EQ(spec.all.size(), 3u);
  EXPECT_EQ(spec.all[1].key, "train.epochs");
  EXPECT_EQ(spec.all[1].value, "4");
  EXPECT_EQ(run_config(spec, spec.arms[0], {}, 1, "folder").data.dir, "/elsewhere");
  EXPECT_THAT(config_error_of([&] {
                test::spec_of(lines, {{"", "moe.importance", "0.1 | 0.2"}});
              }),
              HasSubstr("put a grid into the arms"));
  EXPECT_THAT(config_error_of([&] {
                test::spec_of(lines, {{"", "run.seed", "4"}});
              }),
              HasSubstr("run.seed is set by the study itself"));
}

TEST(StudySpec, keeps_the_arms_that_are_asked_for) {
  const auto arms = [](const char* names) {
    const Spec spec =
        test::spec_of(test::two_arms(), {{"", "study.arms", names}, {"", "study.baseline", "plain"}});
    std::vector<std::string> kept;
    for (const Arm& arm : spec.arms) kept.push_back(arm.name);
    return kept;
  };
  EXPECT_THAT(arms("plain"), ElementsAre("plain"));
  EXPECT_THAT(arms("grid plain"), ElementsAre("plain", "grid"));
  EXPECT_THAT(config_error_of([&] { arms("plane"); }), HasSubstr("study.arms = 'plane' names no arm"));
  EXPECT_THAT(config_error_of([&] { arms("grid"); }), HasSubstr("study.arms has grid and not plain"));
}

TEST(StudySpec, leaves_out_the_baseline_with_its_arm) {
  std::vector<Line> lines = test::two_arms();
  lines.insert(lines.end(), {{"arm.third", "config", "c.ini"}});
  const Spec spec = test::spec_of(lines, {{"", "study.arms", "third"}, {"", "study.baseline", "plain"}});
  EXPECT_EQ(spec.options.baseline, "");
}

TEST(StudySpec, refuses_unknown_names_with_their_line) {
  EXPECT_THAT(refusal_of({"study", "sedes", "3"}),
              HasSubstr("unknown key 'study.sedes' (study.ini:15); did you mean 'study.seeds'?"));
  EXPECT_THAT(refusal_of({"arms.x", "", ""}), HasSubstr("unknown section 'arms.x' (study.ini:15)"));
  EXPECT_THAT(refusal_of({"arm.plain", "moe.importanse", "1"}), HasSubstr("did you mean 'moe.importance'?"));
  EXPECT_THAT(refusal_of({"arm.plain", "epochs", "1"}), HasSubstr("unknown key 'epochs' of an arm"));
  EXPECT_THAT(refusal_of({"all", "moe.importanse", "1"}), HasSubstr("did you mean 'moe.importance'?"));
  EXPECT_THAT(refusal_of({"quick", "moe.importanse", "1"}), HasSubstr("did you mean 'moe.importance'?"));
  EXPECT_THAT(refusal_of({"quick", "sedes", "1"}), HasSubstr("did you mean 'study.seeds'?"));
  EXPECT_THAT(refusal_of({"arm.a b", "", ""}), HasSubstr("the arm 'a b' (study.ini:15)"));
  EXPECT_THAT(refusal_of({"arm.", "", ""}), HasSubstr("the arm '' (study.ini:15)"));
}

TEST(StudySpec, refuses_values_that_do_not_fit) {
  EXPECT_THAT(refusal_of({"study", "seeds", "0"}),
              HasSubstr("study.seeds = '0' is out of range (study.ini:15)"));
  EXPECT_THAT(refusal_of({"study", "seeds", "x"}), HasSubstr("is not a whole number"));
  EXPECT_THAT(refusal_of({"study", "quick", "true"}), HasSubstr("allowed: no or yes"));
  EXPECT_THAT(refusal_of({"study", "metrics", ""}), HasSubstr("study.metrics is empty"));
  EXPECT_THAT(refusal_of({"all", "moe.importance", "0.2 | 0.4"}), HasSubstr("put a grid into the arms"));
  EXPECT_THAT(refusal_of({"arm.plain", "run.seed", "4"}), HasSubstr("run.seed is set by the study itself"));
}

TEST(StudySpec, refuses_arms_that_do_not_exist_or_wait_for_each_other) {
  EXPECT_THAT(refusal_of({"study", "baseline", "plane"}), HasSubstr("study.baseline = 'plane' names no arm"));
  EXPECT_THAT(refusal_of({"arm.grid", "after", "plain plane"}),
              HasSubstr("arm.grid.after = 'plane' names no arm"));
  EXPECT_THAT(refusal_of({"arm.plain", "after", "grid"}), HasSubstr("would never start"));
  EXPECT_THAT(refusal_of({"arm.plain", "after", "plain"}), HasSubstr("would never start"));
}

TEST(StudySpec, refuses_a_study_without_folder_arms_or_configuration) {
  EXPECT_THAT(config_error_of([] {
                test::spec_of({{"study", "seeds", "2"}});
              }),
              HasSubstr("study.dir is missing (configs/study.ini)"));
  EXPECT_THAT(config_error_of([] { test::spec_of({{"study", "dir", "a"}}); }), HasSubstr("has no arms"));
  EXPECT_THAT(refusal_of({"arm.third", "", ""}), HasSubstr("the arm third has no configuration"));
}

TEST(StudySpec, levels_follow_after) {
  std::vector<Line> lines = test::two_arms();
  lines.insert(lines.end(), {{"arm.third", "config", "c.ini"},
                             {"arm.third", "after", "grid plain"},
                             {"arm.alone", "config", "c.ini"}});
  const Spec spec = test::spec_of(lines);
  EXPECT_THAT(levels(spec), ElementsAre(0, 1, 2, 0));
  EXPECT_THAT(last_levels(spec), ElementsAre(2, 2, 2, 0));
}

TEST(StudyCheck, refuses_ranks_metrics_and_combinations) {
  const auto accept = [](const run::Config&) {};
  const auto refusal = [&](const Line& line, int ranks) {
    return config_error_of([&] { check_study(test::spec_of(with(test::two_arms(), line)), ranks, accept); });
  };
  EXPECT_NO_THROW(check_study(test::spec_of(test::two_arms()), 3, accept));
  EXPECT_THAT(refusal({"study", "ranks_per_run", "2"}, 3),
              HasSubstr("study.ranks_per_run = 2 does not divide the 3 rank(s)"));
  EXPECT_THAT(refusal({"study", "select_by", "validation.eror"}, 1),
              HasSubstr("did you mean 'validation.error'?"));
  EXPECT_THAT(refusal({"study", "metrics", "test.error tset.loss"}, 1),
              HasSubstr("study.metrics = 'tset.loss'"));
  EXPECT_THAT(
      refusal({"arm.grid", "moe.experts", "4 | 1"}, 1),
      HasSubstr("the arm grid with moe.importance=0.2 moe.top_k=1 moe.experts=1 of configs/study.ini cannot "
                "run: moe.importance = 0.2 with one expert"));
  EXPECT_THAT(refusal({"arm.grid", "train.epochs", "2 | none"}, 1), HasSubstr("train.epochs = 'none'"));
}

}  // namespace
}  // namespace switchyard::study
