// Reports of steps that are read after the next step was enqueued, as on a GPU: the run is the one whose
// reports are read at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/stop_signals.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "run/run.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::run {
namespace {

enum class Reports { prompt, late };

// Of steps: at which the data are looked at, apart from the end.
constexpr index_t steps = 23;

class LateReports : public testing::Test {
 protected:
  LateReports() {
    config_.data.source = data::Source::random;
    config_.data.random.samples = 1000;
    config_.data.random.features = 20;
    config_.data.random.classes = 5;
    config_.model.gate = "dense:16 relu dense:experts";
    config_.model.expert = "dense:classes";
    config_.moe.experts = 6;
    config_.moe.top_k = 2;
    config_.moe.importance = 0.2;
    config_.optim.clip_norm = 1.0;
    config_.train.batch_size = 50;
    config_.train.epochs = 10;
    config_.train.max_steps = steps;
    config_.train.log_every_steps = 1;
  }

  // In a folder of that name. `on_line` is called at each line of progress.
  Outcome train(const std::string& name, Reports reports, const std::function<void(index_t)>& on_line = {}) {
    Config config = config_;
    config.run.dir = (folder_.path() / name).string();
    config.run.resume = ResumeMode::automatic;
    const data::Dataset dataset = data::load_dataset(config.data, config.run.seed);
    comm::LocalCommunicator communicator;
    comm::HostDataPlane data_plane(communicator);
    device::Context context(1);
    PreparedRun prepared = prepare_run(communicator, config, [](const std::filesystem::path&) {});
    Lines lines(on_line);
    std::ostream out(&lines);
    return execute(prepared, {.resources = {communicator, data_plane, context},
                              .dataset = &dataset,
                              .out = &out,
                              .announce = [&](Loop& loop) {
                                if (reports == Reports::late) loop.read_reports_late();
                              }});
  }

  std::vector<Json> metrics(const std::string& name) const {
    std::ifstream file(folder_.path() / name / "metrics.jsonl");
    std::vector<Json> lines;
    for (std::string line; std::getline(file, line);) {
      Json object = Json::parse(line);
      for (const char* const time : {"at", "seconds", "phases", "time"}) object.erase(time);
      lines.push_back(std::move(object));
    }
    return lines;
  }
  std::filesystem::path newest(const std::string& name) const {
    return checkpoint::newest_valid(folder_.path() / name / "checkpoints");
  }

  void expect_same(const std::string& a, const std::string& b) const {
    EXPECT_EQ(metrics(a), metrics(b));
    const checkpoint::Difference difference = checkpoint::diff(newest(a), newest(b));
    EXPECT_TRUE(difference.equal) << difference.text;
  }

  test::TemporaryDirectory folder_;
  Config config_;

 private:
  // Takes any text; a flush is a line of progress.
  class Lines : public std::streambuf {
   public:
    explicit Lines(const std::function<void(index_t)>& on_line) : on_line_(on_line) {}

   private:
    std::streamsize xsputn(const char*, std::streamsize count) override { return count; }
    int_type overflow(int_type letter) override { return traits_type::not_eof(letter); }
    int sync() override {
      if (on_line_) on_line_(++lines_);
      return 0;
    }
    const std::function<void(index_t)>& on_line_;
    index_t lines_ = 0;
  };
};

TEST_F(LateReports, make_the_same_run) {
  EXPECT_EQ(train("prompt", Reports::prompt).code, ExitCode::ok);
  EXPECT_EQ(train("late", Reports::late).code, ExitCode::ok);
  EXPECT_GT(std::ssize(metrics("prompt")), steps);
  expect_same("prompt", "late");
}

TEST_F(LateReports, are_there_where_a_run_evaluates_and_saves) {
  config_.train.evaluate_every_steps = 4;
  config_.checkpoint.every_steps = 3;
  config_.checkpoint.keep_last = 100;
  EXPECT_EQ(train("prompt", Reports::prompt).code, ExitCode::ok);
  EXPECT_EQ(train("late", Reports::late).code, ExitCode::ok);
  expect_same("prompt", "late");
  for (index_t step = 3; step < steps; step += 3) {
    const auto of = [&](const char* name) {
      return checkpoint::path_of(folder_.path() / name / "checkpoints", step);
    };
    EXPECT_TRUE(checkpoint::diff(of("prompt"), of("late")).equal) << step;
  }
}

// The line of step 5 is written when step 6 was enqueued, so step 7 is the first that says stop; and step 8 was
// enqueued when that is read. What comes of a run that goes on is the same.
TEST_F(LateReports, of_a_run_that_is_stopped_lead_to_the_same_end) {
  EXPECT_EQ(train("whole", Reports::prompt).code, ExitCode::ok);
  const auto stop_at_fifth = [](index_t line) {
    if (line == 5) request_stop();
  };
  const auto stopped_step = [&](const char* name, Reports reports) {
    const StopSignals signals(StopSignals::Says::nothing);  // forgets the request
    const Outcome outcome = train(name, reports, stop_at_fifth);
    EXPECT_EQ(outcome.code, ExitCode::stopped_early) << outcome.reason;
    return metrics(name).back().at("step").get<index_t>();
  };
  const index_t prompt = stopped_step("prompt", Reports::prompt);
  const index_t late = stopped_step("late", Reports::late);
  EXPECT_EQ(prompt, 6);
  EXPECT_EQ(late, 8);
  for (const char* const name : {"prompt", "late"}) {
    EXPECT_EQ(train(name, Reports::late).code, ExitCode::ok);
    expect_same("whole", name);
  }
}

TEST_F(LateReports, are_prompt_where_a_loss_ends_the_run) {
  config_.train.stop_loss = 100;
  config_.train.stop_after_steps = 7;
  const Outcome prompt = train("prompt", Reports::prompt);
  EXPECT_EQ(train("late", Reports::late).reason, prompt.reason);
  EXPECT_THAT(prompt.reason, testing::HasSubstr("stop_loss"));
  expect_same("prompt", "late");
}

// Weights become so large that a sum overflows. One more step is enqueued behind that one, and changes
// nothing that the sentence speaks of.
TEST_F(LateReports, of_a_run_without_numbers_say_the_same) {
  config_.optim.name = optim::OptimiserKind::sgd;
  config_.optim.clip_norm = 0;
  for (const double rate : {1e36, 1e38}) {
    SCOPED_TRACE(rate);
    config_.optim.learning_rate = rate;
    const auto sentence = [&](const std::string& name, Reports reports) -> std::string {
      try {
        return train(name, reports).reason;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::numeric);
        return error.what();
      }
    };
    const std::string number = std::to_string(rate);
    const std::string prompt = sentence("prompt" + number, Reports::prompt);
    EXPECT_EQ(sentence("late" + number, Reports::late), prompt);
    EXPECT_THAT(prompt, testing::HasSubstr("there is no checkpoint yet"));
    EXPECT_EQ(metrics("prompt" + number), metrics("late" + number));
  }
}

}  // namespace
}  // namespace switchyard::run
