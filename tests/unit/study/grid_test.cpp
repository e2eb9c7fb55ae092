#include "study/jobs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/config_error.hpp"
#include "unit/study/fixture.hpp"

namespace switchyard::study {
namespace {

using switchyard::test::config_error_of;
using testing::ElementsAre;
using testing::HasSubstr;

Arm arm_with(const std::vector<test::Line>& lines) {
  Arm arm{
      .name = "a", .title = "a", .config_file = {}, .base = test::small_config(""), .after = {}, .keys = {}};
  arm.keys = test::settings(lines);
  return arm;
}

Spec spec_with(const std::vector<test::Line>& all = {}) {
  Spec spec{.file = "s.ini", .options = {}, .all = test::settings(all), .arms = {}, .published = {}};
  spec.options.dir = "runs/s";
  return spec;
}

TEST(StudyGrid, has_one_empty_combination_without_several_values) {
  EXPECT_THAT(combinations(arm_with({{"", "moe.top_k", "2"}})), ElementsAre(Values{}));
}

TEST(StudyGrid, has_all_combinations_the_last_key_fastest) {
  const auto all = combinations(
      arm_with({{"", "moe.top_k", " 1 | 2"}, {"", "train.epochs", "3"}, {"", "moe.importance", "0|0.5"}}));
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(text_of(all[0]), "moe.top_k=1 moe.importance=0");
  EXPECT_EQ(text_of(all[1]), "moe.top_k=1 moe.importance=0.5");
  EXPECT_EQ(text_of(all[3]), "moe.top_k=2 moe.importance=0.5");
}

TEST(StudyGrid, refuses_an_empty_value_and_a_repeated_one) {
  for (const char* text : {"1 |", "| 1", "1 || 2"}) {
    EXPECT_THAT(config_error_of([&] {
                  combinations(arm_with({{"", "moe.top_k", text}}));
                }),
                HasSubstr("has an empty value (study.ini:1)"));
  }
  EXPECT_THAT(config_error_of([] {
                combinations(arm_with({{"", "moe.top_k", "1 | 2 |1"}}));
              }),
              HasSubstr("has a value twice"));
  EXPECT_NO_THROW(combinations(arm_with({{"", "data.dir", ""}})));
}

TEST(StudyGrid, labels_are_folder_names_and_differ) {
  EXPECT_EQ(label_of({{"moe.importance", "0.2"}, {"moe.top_k", "1"}}), "moe.importance=0.2,moe.top_k=1");
  const std::string slash = label_of({{"data.dir", "/a/b"}});
  const std::string other = label_of({{"data.dir", "/a_b"}});
  EXPECT_NE(slash, other);
  EXPECT_EQ(slash.find('/'), slash.npos);
  const std::string long_one = label_of({{"model.gate", std::string(300, 'x') + "1"}});
  EXPECT_LT(long_one.size(), 128u);
  EXPECT_NE(long_one, label_of({{"model.gate", std::string(300, 'x') + "2"}}));
}

TEST(StudyGrid, the_arm_wins_over_all_and_all_over_the_file) {
  const Spec spec = spec_with({{"", "train.epochs", "3"}, {"", "train.batch_size", "32"}});
  const Arm arm = arm_with({{"", "train.batch_size", "64 | 128"}});
  const run::Config config = run_config(spec, arm, {{"train.batch_size", "128"}}, 12, "runs/s/x");
  EXPECT_EQ(config.train.epochs, 3);
  EXPECT_EQ(config.train.batch_size, 128);
  EXPECT_EQ(config.run.seed, 12u);
  EXPECT_EQ(config.run.dir, "runs/s/x");
  EXPECT_EQ(config.run.resume, run::ResumeMode::automatic);
}

TEST(StudyGrid, replaces_seed_and_study) {
  const Arm arm = arm_with({{"", "data.dir", "{study}/runs/first/seed-{seed}/{seed}"}});
  EXPECT_EQ(run_config(spec_with(), arm, {}, 7, "x").data.dir, "runs/s/runs/first/seed-0007/0007");
}

TEST(StudyGrid, refuses_a_time_limit_of_runs) {
  const Arm arm = arm_with({{"", "run.max_minutes", "5"}});
  EXPECT_THAT(config_error_of([&] { run_config(spec_with(), arm, {}, 7, "x"); }),
              HasSubstr("run.max_minutes = 5 in the arm a"));
}

TEST(StudyJobs, selection_runs_are_values_times_seeds_in_folders_of_their_own) {
  Spec spec = test::spec_of(test::two_arms(), {{"", "study.selection_epochs", "2"}});
  EXPECT_TRUE(selection_jobs(spec, 0).empty());
  const std::vector<Job> jobs = selection_jobs(spec, 1);
  ASSERT_EQ(jobs.size(), 8u);
  EXPECT_EQ(jobs[3].folder, "selection/grid/moe.importance=0.2,moe.top_k=2/seed-0002");
  EXPECT_EQ(jobs[3].combination, 1u);
  EXPECT_EQ(jobs[3].config.run.dir, "runs/a/" + jobs[3].folder);
  EXPECT_EQ(jobs[3].config.train.epochs, 2);
  EXPECT_EQ(jobs[3].config.moe.top_k, 2);
}

TEST(StudyJobs, results_have_the_selected_values_and_all_seeds) {
  const Spec spec = test::spec_of(test::two_arms(), {{"", "study.first_seed", "11"}});
  const std::vector<Job> jobs = result_jobs(spec, 1, 2);
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[1].folder, "runs/grid/seed-0012");
  EXPECT_EQ(jobs[1].config.moe.importance, 0.4);
  EXPECT_EQ(jobs[1].config.moe.top_k, 1);
  EXPECT_EQ(jobs[1].config.moe.experts, 4);
  EXPECT_EQ(jobs[1].config.train.epochs, 7);
}

TEST(StudyJobs, are_dealt_evenly_by_arm_and_made_by_seed) {
  std::vector<Job> jobs;
  for (std::size_t arm = 0; arm < 2; ++arm) {
    for (std::int64_t seed = 1; seed <= 4; ++seed) {
      Job job;
      job.arm = arm;
      job.seed = seed;
      jobs.push_back(job);
    }
  }
  // Indices 0 to 3 are arm 0 with seeds 1 to 4, 4 to 7 arm 1.
  EXPECT_THAT(assign_round_robin(jobs, 2), ElementsAre(ElementsAre(0, 4, 2, 6), ElementsAre(1, 5, 3, 7)));
  EXPECT_THAT(assign_round_robin(jobs, 1), ElementsAre(ElementsAre(0, 4, 1, 5, 2, 6, 3, 7)));
  EXPECT_EQ(assign_round_robin(jobs, 9)[8].size(), 0u);
}

}  // namespace
}  // namespace switchyard::study
