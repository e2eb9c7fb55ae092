#include "ops/agreement.hpp"
#include "optim/optimiser.hpp"
#include "support/known_step.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace switchyard::optim {
namespace {

TEST(Schedule, warms_up_in_equal_steps_to_the_full_rate) {
  optim::Options options;
  options.learning_rate = 0.1;
  options.warmup_steps = 4;
  EXPECT_DOUBLE_EQ(learning_rate(options, 100, 0), 0.025);
  EXPECT_DOUBLE_EQ(learning_rate(options, 100, 3), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(options, 100, 50), 0.1);
}

TEST(Schedule, falls_along_half_a_cosine_from_the_end_of_warm_up_to_the_horizon) {
  optim::Options options;
  options.learning_rate = 0.2;
  options.warmup_steps = 10;
  options.schedule = optim::ScheduleKind::cosine;
  EXPECT_DOUBLE_EQ(learning_rate(options, 110, 10), 0.2);
  EXPECT_NEAR(learning_rate(options, 110, 60), 0.1, 1e-15);
  EXPECT_NEAR(learning_rate(options, 110, 110), 0.0, 1e-15);
  EXPECT_NEAR(learning_rate(options, 110, 500), 0.0, 1e-15);
  EXPECT_GT(learning_rate(options, 110, 30), learning_rate(options, 110, 31));
}

// The bits of a run that was there before the floor was.
TEST(Schedule, without_a_floor_is_the_plain_cosine_to_the_last_bit) {
  optim::Options options;
  options.learning_rate = 0.003;
  options.warmup_steps = 7;
  options.schedule = optim::ScheduleKind::cosine;
  for (index_t step = 7; step < 1000; ++step) {
    const double done = std::min(1.0, static_cast<double>(step - 7) / 993.0);
    EXPECT_EQ(learning_rate(options, 1000, step), 0.003 * 0.5 * (1.0 + std::cos(std::numbers::pi * done)));
  }
}

optim::Options falling(optim::ScheduleKind schedule) {
  optim::Options options;
  options.learning_rate = 0.2;
  options.warmup_steps = 10;
  options.schedule = schedule;
  options.floor = 0.1;
  return options;
}

TEST(Schedule, falls_to_the_floor_and_stays_there) {
  const optim::Options cosine = falling(optim::ScheduleKind::cosine);
  const optim::Options linear = falling(optim::ScheduleKind::linear);
  for (const optim::Options& options : {cosine, linear}) {
    EXPECT_DOUBLE_EQ(learning_rate(options, 110, 4), 0.1);  // warm-up is from 0
    EXPECT_DOUBLE_EQ(learning_rate(options, 110, 10), 0.2);
    EXPECT_NEAR(learning_rate(options, 110, 60), 0.11, 1e-15);
    for (const index_t step : {110, 500}) EXPECT_NEAR(learning_rate(options, 110, step), 0.02, 1e-15);
  }
  EXPECT_NEAR(learning_rate(cosine, 110, 35), 0.02 + 0.18 * (1 + std::sqrt(0.5)) / 2, 1e-15);
  EXPECT_NEAR(learning_rate(linear, 110, 35), 0.02 + 0.18 * 0.75, 1e-15);
}

TEST(Schedule, is_stable_until_its_last_share) {
  optim::Options options = falling(optim::ScheduleKind::warmup_stable_decay);
  options.decay_share = 0.25;
  for (const index_t step : {10, 50, 90}) EXPECT_DOUBLE_EQ(learning_rate(options, 120, step), 0.2);
  EXPECT_NEAR(learning_rate(options, 120, 91), 0.2 - 0.18 / 30, 1e-15);
  EXPECT_NEAR(learning_rate(options, 120, 105), 0.11, 1e-15);
  for (const index_t step : {120, 500}) EXPECT_NEAR(learning_rate(options, 120, step), 0.02, 1e-15);
  // It does not fall before it has risen, and then has a step at least to fall in.
  options.decay_share = 1;
  EXPECT_DOUBLE_EQ(learning_rate(options, 110, 10), 0.2);
  EXPECT_NEAR(learning_rate(options, 110, 35), 0.02 + 0.18 * 0.75, 1e-15);
  options.decay_share = 1e-9;
  EXPECT_DOUBLE_EQ(learning_rate(options, 110, 109), 0.2);
  EXPECT_NEAR(learning_rate(options, 110, 110), 0.02, 1e-15);
}

TEST(Clipping, brings_the_norm_down_to_the_bound_and_leaves_smaller_ones) {
  EXPECT_DOUBLE_EQ(ops::clip_scale(4.0, 1.0), 0.25);
  EXPECT_DOUBLE_EQ(ops::clip_scale(0.5, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(ops::clip_scale(4.0, 0.0), 1.0);  // off
}

TEST(Optimiser, names_its_state) {
  optim::Options options;
  EXPECT_EQ(state_names(options, nn::Role::weight),
            (std::vector<std::string>{"first_moment", "second_moment"}));
  options.name = optim::OptimiserKind::sgd;
  EXPECT_TRUE(state_names(options, nn::Role::weight).empty());
  options.momentum = 0.9;
  EXPECT_EQ(state_names(options, nn::Role::weight), std::vector<std::string>{"velocity"});
}

// w = 1, g = 2: the first Adam step moves by the rate, whatever the gradient's size; SGD by rate * scale * g.
TEST(Optimiser, takes_the_known_first_steps) {
  device::Context context(1);
  for (const auto kind : {optim::OptimiserKind::adam, optim::OptimiserKind::sgd}) {
    optim::Options options;
    options.name = kind;
    float w = 1.0F;
    float g = 2.0F;
    nn::ParameterSlice slice;
    slice.value = &w;
    slice.gradient = &g;
    slice.count = 1;
    nn::NormTable norms;
    norms.add({0});
    Optimiser optimiser(options, norms, {slice});
    test::update(optimiser, context, {.learning_rate = 0.1, .gradient_scale = 0.5});
    EXPECT_NEAR(w, kind == optim::OptimiserKind::adam ? 0.9 : 1.0 - 0.1 * 0.5 * 2.0, 1e-6);
  }
}

}  // namespace
}  // namespace switchyard::optim
