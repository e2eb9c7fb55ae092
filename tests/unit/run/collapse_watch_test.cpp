#include "run/collapse_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sample_statistics.hpp"

namespace switchyard::run {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const moe::Statistics good = test::statistics_of({{200, 200, 200, 200, 200}});
const moe::Statistics collapsed = test::statistics_of({{8, 9, 10, 970, 3}});

TEST(CollapseWatch, warns_where_a_collapse_begins) {
  CollapseWatch watch(0.0, {});
  EXPECT_EQ(watch.observe(good), "");
  EXPECT_EQ(
      watch.observe(collapsed),
      "warning: expert 3 takes 97% of the samples, 1 of 5 experts is above 1% (a collapse); try the "
      "importance regulariser (--moe.importance=0.2; it is 0), or look at class_by_expert in metrics.jsonl");
  EXPECT_EQ(watch.observe(collapsed), "");
  EXPECT_EQ(watch.observe(good), "");
  EXPECT_NE(watch.observe(collapsed), "") << "it begins again";
}

TEST(CollapseWatch, says_how_many_experts_are_left) {
  CollapseWatch watch(0.0, {});
  EXPECT_THAT(watch.observe(test::statistics_of({{600, 400, 0, 0, 0}})),
              HasSubstr("expert 0 takes 60% of the samples, 2 of 5 experts are above 1% (a coll"));
  CollapseWatch many(0.0, {});
  std::vector<std::int64_t> samples(200, 0);
  samples[7] = 10;
  EXPECT_THAT(many.observe(test::statistics_of({samples})),
              HasSubstr("expert 7 takes 100% of the samples, 1 of 200 experts is above 0.25%"));
}

TEST(CollapseWatch, gives_advice_that_the_run_can_take) {
  const auto advice = [](std::optional<double> importance, model::Frozen frozen) {
    return CollapseWatch(importance, frozen).observe(collapsed);
  };
  EXPECT_THAT(advice(0.2, {}), HasSubstr("--moe.importance=0.4; it is 0.2"));
  EXPECT_THAT(advice(0.0, {.gate = true}), AllOf(HasSubstr("it is frozen"), Not(HasSubstr("importance"))));
  EXPECT_THAT(advice(std::nullopt, {}),
              AllOf(HasSubstr("try fewer experts (moe.experts)"), Not(HasSubstr("importance"))));
}

}  // namespace
}  // namespace switchyard::run
