#include "base/timeline.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/phase_clock.hpp"

namespace switchyard {
namespace {

using Kind = Timeline::Kind;

Timeline::Clock::time_point at(std::int64_t ns) {
  return Timeline::Clock::time_point(std::chrono::nanoseconds(ns));
}

// Step `step` from 10,000 * step on, 9,000 long: two phases, operations in the second, one behind the other.
void run_step(Timeline& timeline, index_t step, index_t operations = 1) {
  const std::int64_t begin = 10'000 * step;
  timeline.begin_step(step, at(begin));
  timeline.add_phase(Phase::data, at(begin), at(begin + 2000));
  for (index_t i = 0; i < operations; ++i)
    timeline.add_operation(3, at(begin + 2000 + 2 * i), at(begin + 2001 + 2 * i), 1000 + step);
  timeline.add_phase(Phase::gate, at(begin + 2000), at(begin + 9000));
  timeline.end_step(at(begin + 9000));
}

std::vector<index_t> steps_of(const Timeline::Kept& kept) {
  std::vector<index_t> steps;
  for (const Timeline::Span& span : kept.spans) {
    if (span.kind == Kind::step) steps.push_back(span.number);
  }
  return steps;
}

// Each step with all that is in it, in the order of a tree that is walked.
void expect_whole_steps(const Timeline::Kept& kept, std::size_t operations = 1) {
  const std::size_t size = 3 + operations;
  for (std::size_t i = 0; i < kept.spans.size(); i += size) {
    ASSERT_LE(i + size, kept.spans.size());
    const Timeline::Span& step = kept.spans[i];
    EXPECT_EQ(step.kind, Kind::step);
    EXPECT_EQ(kept.spans[i + 1].kind, Kind::phase);
    EXPECT_EQ(kept.spans[i + 2].kind, Kind::phase);
    for (std::size_t j = 1; j < size; ++j) {
      EXPECT_GE(kept.spans[i + j].begin_ns, step.begin_ns);
      EXPECT_LE(kept.spans[i + j].end_ns, step.end_ns);
    }
    EXPECT_EQ(kept.spans[i + 3].number, 1000 + step.number) << "bytes of the operation";
  }
}

TEST(Timeline, keeps_all_of_a_short_run) {
  Timeline timeline(3);
  for (index_t step = 1; step <= 6; ++step) run_step(timeline, step);
  const Timeline::Kept kept = timeline.kept();
  EXPECT_EQ(steps_of(kept), (std::vector<index_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(kept.left_out, 0);
  expect_whole_steps(kept);
}

TEST(Timeline, keeps_the_first_and_the_last_steps_of_a_long_one) {
  Timeline timeline(2);
  for (index_t step = 11; step <= 5000; ++step) run_step(timeline, step);
  const Timeline::Kept kept = timeline.kept();
  EXPECT_EQ(steps_of(kept), (std::vector<index_t>{11, 12, 4999, 5000}));
  EXPECT_EQ(kept.left_out, 4986);
  EXPECT_EQ(kept.last_left_out, 4998);
  expect_whole_steps(kept);
}

// More than there is room for: fewer steps, but whole ones.
TEST(Timeline, keeps_whole_steps_where_they_are_long) {
  constexpr std::size_t operations = 700;
  Timeline timeline(4);  // 4096 spans: five steps and a half
  for (index_t step = 1; step <= 40; ++step) run_step(timeline, step, operations);
  const Timeline::Kept kept = timeline.kept();
  const std::vector<index_t> steps = steps_of(kept);
  EXPECT_EQ(steps, (std::vector<index_t>{1, 2, 3, 4, 37, 38, 39, 40}));
  expect_whole_steps(kept, operations);

  Timeline longer(4);
  constexpr std::size_t more = 1500;  // two steps and a half
  for (index_t step = 1; step <= 40; ++step) run_step(longer, step, more);
  const Timeline::Kept fewer = longer.kept();
  EXPECT_EQ(steps_of(fewer), (std::vector<index_t>{1, 2, 39, 40}));
  EXPECT_EQ(fewer.left_out, 36);
  EXPECT_EQ(fewer.last_left_out, 38);
  expect_whole_steps(fewer, more);
}

TEST(Timeline, keeps_evaluations_where_its_steps_are) {
  Timeline timeline(2);
  for (index_t step = 1; step <= 20; ++step) {
    run_step(timeline, step);
    timeline.add(Kind::evaluation, step, at(10'000 * step + 9100), at(10'000 * step + 9200));
  }
  std::vector<index_t> after;
  for (const Timeline::Span& span : timeline.kept().spans) {
    if (span.kind == Kind::evaluation) after.push_back(span.number);
  }
  EXPECT_EQ(after, (std::vector<index_t>{1, 2, 19, 20}));
}

TEST(Timeline, of_a_failure_ends_with_what_is_known_of_the_step) {
  Timeline timeline(2);
  run_step(timeline, 1);
  timeline.begin_step(2, at(20'000));
  timeline.add_phase(Phase::data, at(20'000), at(20'015));
  const Timeline::Kept kept = timeline.kept();
  EXPECT_EQ(steps_of(kept), (std::vector<index_t>{1, 2}));
  EXPECT_EQ(kept.spans[4].begin_ns, 20'000);
  EXPECT_EQ(kept.spans[4].end_ns, 20'015);
  EXPECT_EQ(kept.left_out, 0);
}

TEST(Timeline, knows_nothing_of_what_is_outside_steps) {
  Timeline timeline(2);
  timeline.add_phase(Phase::data, at(0), at(10));
  timeline.add_operation(1, at(0), at(10), 5);
  EXPECT_TRUE(timeline.kept().spans.empty());
}

// The clock's phases are the timeline's: none is left out, and their sums are equal.
TEST(PhaseClock, tells_the_timeline_what_it_counts) {
  Timeline timeline(2);
  PhaseClock clock;
  clock.restart(&timeline);
  const auto begin = clock.since();
  timeline.begin_step(1, begin);
  for (const Phase phase : {Phase::data, Phase::gate, Phase::experts, Phase::gate, Phase::update})
    clock.enter(phase);
  const PhaseClock::Seconds seconds = clock.take();
  timeline.end_step(clock.since());
  PhaseClock::Seconds summed{};
  const Timeline::Kept kept = timeline.kept();
  ASSERT_EQ(kept.spans.size(), 7U) << "the step, `other` before the first phase, and five phases";
  std::int64_t place = Timeline::ns(begin);
  for (const Timeline::Span& span : kept.spans) {
    if (span.kind != Kind::phase) continue;
    EXPECT_EQ(span.begin_ns, place) << "a gap, or an overlap";
    place = span.end_ns;
    summed[span.what] += 1e-9 * static_cast<double>(span.end_ns - span.begin_ns);
  }
  EXPECT_EQ(place, kept.spans[0].end_ns);
  for (std::size_t phase = 0; phase < phase_count; ++phase) EXPECT_NEAR(summed[phase], seconds[phase], 1e-12);
}

}  // namespace
}  // namespace switchyard
