#include "study/run_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "run/summary.hpp"
#include "study/metric_path.hpp"
#include "support/config_error.hpp"
#include "support/temporary_directory.hpp"
#include "unit/study/fixture.hpp"

namespace switchyard::study {
namespace {

using switchyard::test::config_error_of;
using testing::HasSubstr;

class StudyRunState : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const { std::ofstream(run() / name) << text; }
  const std::filesystem::path& run() const { return folder_.path(); }

  switchyard::test::TemporaryDirectory folder_;
};

TEST_F(StudyRunState, a_run_without_an_end_goes_on) {
  EXPECT_EQ(run_status(run() / "absent"), RunStatus::missing);
  EXPECT_EQ(run_status(run()), RunStatus::missing);
  write("config.ini", "");
  EXPECT_EQ(run_status(run()), RunStatus::unfinished);
  write("summary.json", R"({"exit": {"code": 75, "reason": "a signal"}})");
  EXPECT_EQ(run_status(run()), RunStatus::unfinished);
  for (const char* damaged : {"", "{\"exit\": {\"code\": 0", "[]", "{\"exit\": 0}", "{}"}) {
    write("summary.json", damaged);
    EXPECT_EQ(run_status(run()), RunStatus::unfinished) << damaged;
  }
}

TEST_F(StudyRunState, a_finished_and_a_failed_run_are_done) {
  write("config.ini", "");
  write("summary.json", R"({"exit": {"code": 0}, "test": {"error": 0.25}})");
  EXPECT_EQ(run_status(run()), RunStatus::finished);
  EXPECT_EQ(metric(*run::finished_summary(run() / "summary.json"), "test.error"), 0.25);
  record_failure(run(), ErrorKind::numeric, "the loss is nan");
  EXPECT_EQ(run_status(run()), RunStatus::failed);
  std::ifstream file(run() / "failed.json");
  EXPECT_EQ(nlohmann::json::parse(file).dump(), R"({"kind":"NumericError","message":"the loss is nan"})");
}

TEST_F(StudyRunState, a_skipped_run_is_done_until_its_record_goes) {
  const auto folder = run() / "runs" / "new";
  record_skip(folder, "the run of plain failed");
  EXPECT_EQ(run_status(folder), RunStatus::skipped);
  EXPECT_TRUE(is_done(RunStatus::skipped));
  std::ifstream file(folder / "skipped.json");
  EXPECT_EQ(nlohmann::json::parse(file).dump(), R"({"reason":"the run of plain failed"})");
  remove_skip(folder);
  EXPECT_EQ(run_status(folder), RunStatus::missing);
  record_skip(run(), "x");
  write("config.ini", "");
  EXPECT_EQ(run_status(run()), RunStatus::unfinished) << "a run that began is not skipped";
}

TEST_F(StudyRunState, a_run_is_skipped_after_one_of_its_seed_that_gave_no_result) {
  const Spec spec = test::spec_of(test::two_arms(), {{"", "study.dir", run().string()}});
  const std::vector<Job> jobs = result_jobs(spec, 1, 0);  // of the arm grid, after plain
  const std::vector<std::optional<std::size_t>> selected = {0, 0};
  const auto reason = [&](const Job& job) { return reason_to_skip(spec, job, selected); };
  const auto plain = [&](const char* seed) { return run() / "runs" / "plain" / seed; };
  for (const Job& job : jobs) EXPECT_EQ(reason(job), "");
  std::filesystem::create_directories(plain("seed-0001"));
  record_failure(plain("seed-0001"), ErrorKind::numeric, "the loss is nan");
  record_skip(plain("seed-0003"), "another one");
  EXPECT_EQ(reason(jobs[0]), "the run of plain with this seed failed");
  EXPECT_EQ(reason(jobs[1]), "");
  EXPECT_EQ(reason(jobs[2]), "the run of plain with this seed was skipped");
  EXPECT_EQ(reason(selection_jobs(spec, 1)[0]), "the run of plain with this seed failed");
  EXPECT_EQ(reason(result_jobs(spec, 0, 0)[0]), "") << "it comes after none";
  EXPECT_EQ(reason_to_skip(spec, jobs[1], {std::nullopt, 0}), "of plain no values were selected");
}

TEST_F(StudyRunState, a_stored_run_must_be_the_one_asked_for) {
  const Spec spec = test::spec_of(test::two_arms());
  const Job job = result_jobs(spec, 0, 0)[0];
  run::Config stored = job.config;
  const auto check = [&] { check_same_run(run(), job, spec, [&](const std::string&) { return stored; }); };
  check();  // nothing is stored
  write("config.ini", "");
  stored.run.dir = "elsewhere";
  stored.run.threads = 3;
  stored.checkpoint.keep_last = 9;
  check();
  stored.train.max_steps = 5;
  EXPECT_THAT(config_error_of(check), testing::AllOf(HasSubstr("train.max_steps = 5"),
                                                     HasSubstr("the arm plain"), HasSubstr("now says 0")));
}

TEST(StudyMetric, is_found_by_path) {
  const auto summary =
      nlohmann::json::parse(R"({"test": {"error": 0.25, "h_s": null, "share": [1]}, "steps": 3})");
  EXPECT_EQ(metric(summary, "test.error"), 0.25);
  EXPECT_EQ(metric(summary, "test.accuracy_percent"), 75);
  EXPECT_EQ(metric(summary, "steps"), 3);
  for (const char* none : {"", ".", "test", "test.", "test.h_s", "test.share", "test.error.x",
                           "validation.error", "validation.accuracy_percent"}) {
    EXPECT_EQ(metric(summary, none), std::nullopt) << none;
  }
}

TEST(StudyMetric, of_a_layer_is_found_by_its_number) {
  const auto summary =
      nlohmann::json::parse(R"({"test": {"layers": [{"h_u": 2, "load": [1]}, {"h_u": 3}], "load": [1, 2]}})");
  EXPECT_EQ(metric(summary, "test.layers.0.h_u"), 2);
  EXPECT_EQ(metric(summary, "test.layers.1.h_u"), 3);
  for (const char* none :
       {"test.layers", "test.layers.2.h_u", "test.layers.-1.h_u", "test.layers.1x.h_u", "test.layers..h_u",
        "test.layers.h_u", "test.layers.0.load.0", "test.load.1", "test.layers.99999999999999999999.h_u"}) {
    EXPECT_EQ(metric(summary, none), std::nullopt) << none;
  }
}

TEST(StudyMetric, must_be_one_of_a_summary) {
  for (const char* known :
       {"test.error", "validation.mi_true", "train.loss", "best.error", "test.accuracy_percent"}) {
    EXPECT_NO_THROW(require_metric(known, "study.metrics", "s.ini", {0})) << known;
  }
  EXPECT_THAT(config_error_of([] { require_metric("test.eror", "study.metrics", "s.ini", {0}); }),
              HasSubstr("study.metrics = 'test.eror' is no number of summary.json (s.ini); did you mean "
                        "'test.error'?"));
}

TEST(StudyMetric, must_be_one_of_the_models_of_the_study) {
  const auto refusal = [](std::string_view path, const std::set<index_t>& layers) {
    return config_error_of([&] { require_metric(path, "study.metrics", "s.ini", layers); });
  };
  for (const char* known : {"test.loss", "test.bits_per_byte", "best.loss", "best.test.bits_per_byte",
                            "validation.layers.1.dispatch_entropy", "test.layers.0.largest_share"}) {
    EXPECT_NO_THROW(require_metric(known, "study.metrics", "s.ini", {2})) << known;
    EXPECT_NO_THROW(require_metric(known, "study.metrics", "s.ini", {0, 2})) << known;
  }
  EXPECT_THAT(refusal("test.layers.2.h_u", {2}), HasSubstr("did you mean 'test.layers.0.h_u'?"));
  EXPECT_THAT(refusal("test.bits_per_byte", {0}), HasSubstr("'test.bits_per_byte' is no number"));
  EXPECT_THAT(refusal("test.mi_predicted", {2}), HasSubstr("'test.mi_predicted' is no number"));
  EXPECT_EQ(layers_of(test::small_config("")), 0);
}

TEST(StudyMetric, of_a_model_of_text_has_its_layers) {
  run::Config config;
  config.model.family = model::Family::tokens;
  config.model.tokens.blocks = 3;
  EXPECT_EQ(layers_of(config), 3);
}

}  // namespace
}  // namespace switchyard::study
