#include "study/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/config_error.hpp"
#include "unit/study/fixture.hpp"

namespace switchyard::study {
namespace {

using switchyard::test::config_error_of;
using testing::AllOf;
using testing::HasSubstr;

void check(const std::vector<test::Line>& more, const std::vector<test::Line>& overrides = {}) {
  std::vector<test::Line> lines = test::two_arms();  // plain, and grid after plain
  lines.insert(lines.end(), more.begin(), more.end());
  check_study(test::spec_of(lines, overrides), 1, [](const run::Config&) {});
}

const std::vector<test::Line> reader = {{"arm.reader", "", ""}, {"arm.reader", "config", "base.ini"}};

std::vector<test::Line> reader_with(const std::vector<test::Line>& more) {
  std::vector<test::Line> lines = reader;
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

TEST(StudyCheck, an_arm_that_reads_runs_of_another_comes_after_it) {
  const test::Line from{"arm.reader", "init.from", "{study}/runs/plain/seed-{seed}"};
  EXPECT_NO_THROW(check(reader_with({{"arm.reader", "after", "plain"}, from})));
  EXPECT_THAT(
      config_error_of([&] { check(reader_with({from})); }),
      AllOf(HasSubstr("init.from of the arm reader reads the runs of plain"), HasSubstr("after = plain")));
  EXPECT_THAT(config_error_of([&] {
                check(reader_with({{"arm.reader", "after", "grid"}, from}));
              }),
              HasSubstr("reads the runs of plain"));
  // A grid over sources, and a source of all arms.
  EXPECT_THAT(config_error_of([&] {
                check(reader_with({{"arm.reader", "after", "plain"},
                                   {"arm.reader", "init.from", "{study}/runs/plain/a | {study}/runs/grid/a"}}));
              }),
              HasSubstr("reads the runs of grid"));
  EXPECT_THAT(config_error_of([&] {
                check({{"all", "init.from", "{study}/runs/plain/seed-{seed}"}});
              }),
              HasSubstr("of the arm plain reads the runs of plain"));
  EXPECT_NO_THROW(check(reader_with({{"arm.reader", "init.from", "runs/plain/seed-{seed}"}}))) << "of no study";
}

TEST(StudyCheck, a_selection_finds_a_run_for_each_of_its_seeds) {
  const auto lines = reader_with({{"arm.reader", "after", "plain"},
                                  {"arm.reader", "moe.top_k", "1 | 2"},
                                  {"arm.reader", "init.from", "{study}/runs/plain/seed-{seed}"}});
  EXPECT_NO_THROW(check(lines));
  EXPECT_THAT(config_error_of([&] {
                check(lines, {{"", "study.selection_seeds", "4"}});
              }),
              HasSubstr("study.selection_seeds = 4 exceeds study.seeds = 3"));
  EXPECT_NO_THROW(check(reader, {{"", "study.selection_seeds", "4"}})) << "it reads no other runs";
}

TEST(StudyCheck, a_selection_by_validation_takes_a_validation_split) {
  Options options;
  Job job{.values = {{"moe.top_k", "1"}}, .purpose = Purpose::selection};
  EXPECT_THAT(config_error_of([&] { check_selectable(options, job, 0); }),
              AllOf(HasSubstr("study.select_by = validation.error"), HasSubstr("moe.top_k=1"),
                    HasSubstr("no validation split"), HasSubstr("such as train.loss")));
  EXPECT_NO_THROW(check_selectable(options, job, 1));
  job.purpose = Purpose::result;
  EXPECT_NO_THROW(check_selectable(options, job, 0)) << "it selects nothing";
  job.purpose = Purpose::selection;
  options.select_by = "train.loss";
  EXPECT_NO_THROW(check_selectable(options, job, 0));
  options.select_by = "best.test.error";
  EXPECT_NE(config_error_of([&] { check_selectable(options, job, 0); }), "") << "the best on validation";
}

}  // namespace
}  // namespace switchyard::study
