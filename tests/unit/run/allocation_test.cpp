// A warm step of the loop allocates nothing in our code: neither the step nor its line of metrics nor its
// event.
#include <gtest/gtest.h>

#include <ostream>
#include <streambuf>
#include <string>
#include <vector>

#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "run/run.hpp"
#include "support/allocation_counter.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::run {
namespace {

// Takes any text, and notes at each flush how many allocations there were.
class Notes : public std::streambuf {
 public:
  Notes() { counts.reserve(100); }
  std::vector<std::int64_t> counts;

 private:
  std::streamsize xsputn(const char*, std::streamsize count) override { return count; }
  int_type overflow(int_type letter) override { return traits_type::not_eof(letter); }
  int sync() override {
    counts.push_back(allocations());
    return 0;
  }
};

// Counts at lines of progress, which come after 10, 20, 30 and 40 steps and at the end, after 45.
std::vector<std::int64_t> counts_of_run(const OutputOptions& output) {
  const test::TemporaryDirectory folder;
  Config config;
  config.run.dir = (folder.path() / "run").string();
  config.data.source = data::Source::random;
  config.data.random.samples = 5000;
  config.data.random.features = 40;
  config.data.random.classes = 5;
  config.model.gate = "dense:16 relu dense:experts";
  config.model.expert = "dense:classes";
  config.moe.experts = 6;
  config.moe.importance = 0.2;
  config.train.batch_size = 100;
  config.train.max_steps = 45;
  config.train.log_every_steps = 10;
  config.output = output;
  const data::Dataset dataset = data::load_dataset(config.data, config.run.seed);
  comm::LocalCommunicator communicator;
  comm::HostDataPlane data_plane(communicator);
  device::Context context(1);
  PreparedRun prepared = prepare_run(communicator, config, [](const std::filesystem::path&) {});
  Notes notes;
  std::ostream out(&notes);
  const Outcome outcome = execute(prepared, {.resources = {communicator, data_plane, context},
                                             .dataset = &dataset,
                                             .out = &out,
                                             .announce = [&](Loop&) { notes.counts.clear(); }});
  EXPECT_EQ(outcome.code, ExitCode::ok) << outcome.reason;
  return notes.counts;
}

// A line of progress takes some memory. A line of metrics keeps its own, which grows with the line, and how
// many digits a time has is left to chance: a run in which it does not.
void expect_no_allocations(const OutputOptions& output) {
  std::int64_t in_ten_steps = 0;
  std::int64_t in_five_steps = -1;
  for (int attempt = 0; attempt < 5 && in_ten_steps != in_five_steps; ++attempt) {
    const std::vector<std::int64_t> counts = counts_of_run(output);
    ASSERT_GE(counts.size(), 5U);
    in_ten_steps = counts[3] - counts[2];
    in_five_steps = counts[4] - counts[3];
  }
  EXPECT_EQ(in_ten_steps, in_five_steps);
}

TEST(Loop, allocates_nothing_in_a_warm_step) { expect_no_allocations({}); }

TEST(Loop, allocates_nothing_for_the_event_of_a_warm_step) { expect_no_allocations({.tensorboard = true}); }

TEST(Loop, allocates_nothing_for_the_trace_of_a_warm_step) {
  expect_no_allocations({.trace = true, .trace_steps = 8});
}

}  // namespace
}  // namespace switchyard::run
