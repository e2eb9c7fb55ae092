#include "run/summary.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run/metrics.hpp"
#include "support/sample_statistics.hpp"

namespace switchyard::run {
namespace {

const BuildInfo build = {"0.1.0", "abc", "g++ 12.2.0", "Release", "native", false};

TEST(SummaryObject, holds_the_result_of_a_whole_run) {
  const moe::Statistics validation = test::sample_statistics();
  const moe::Statistics test = test::statistics_of({{10, 0}, {0, 10}});
  Summary summary;
  summary.steps = 2160;
  summary.parameters = 123456;
  summary.seed = 18446744073709551615U;
  summary.samples_per_second = 24310.5;
  summary.seconds = 45.25;
  summary.matrix_limit_share = 0.625;
  summary.train_loss = 0.125;
  summary.validation = &validation;
  summary.test = &test;
  summary.best = BestEvaluation{2052, 19, {"error", 0.0625}};
  summary.exit_reason = "finished all 2160 steps";
  const Json object = summary_object(summary, build);
  EXPECT_EQ(object["validation"], evaluation_object(validation));
  EXPECT_EQ(object["test"], evaluation_object(test));
  Json rest = object;
  rest.erase("validation");
  rest.erase("test");
  EXPECT_EQ(
      rest.dump(),
      R"({"steps":2160,"parameters":123456,"seed":18446744073709551615,)"
      R"("train":{"samples_per_second":24310.5,"seconds":45.25,"matrix_limit_share":0.625,"loss":0.125},)"
      R"("best":{"step":2052,"epoch":19,"error":0.0625,"test":null},"takes_regularisers":true,)"
      R"("exit":{"code":0,"reason":"finished all 2160 steps"},)"
      R"("build":{"version":"0.1.0","commit":"abc","compiler":"g++ 12.2.0","build_type":"Release","arch":"native",)"
      R"("cuda":false}})");
}

TEST(SummaryObject, has_null_for_what_a_stopped_run_did_not_reach) {
  const moe::Statistics nothing({{"", moe::RoutingStatistics(4, {3})}});
  Summary summary;
  summary.validation = &nothing;
  summary.exit_code = ExitCode::stopped_early;
  summary.exit_reason = "signal USR1";
  const Json object = summary_object(summary, build);
  EXPECT_TRUE(object["validation"].is_null());
  EXPECT_TRUE(object["test"].is_null());
  EXPECT_TRUE(object["best"].is_null());
  EXPECT_TRUE(object["train"]["matrix_limit_share"].is_null());
  EXPECT_EQ(object["exit"].dump(), R"({"code":75,"reason":"signal USR1"})");
}

}  // namespace
}  // namespace switchyard::run
