#include "optim/optimiser.hpp"

#include <gtest/gtest.h>

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

TEST(Clipping, brings_the_norm_down_to_the_bound_and_leaves_smaller_ones) {
  EXPECT_DOUBLE_EQ(clip_scale(4.0, 1.0), 0.25);
  EXPECT_DOUBLE_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_scale(4.0, 0.0), 1.0);  // off
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
    Optimiser(options, norms, {slice})
        .update(context, {.step = 0, .learning_rate = 0.1, .gradient_scale = 0.5, .squares = {}});
    EXPECT_NEAR(w, kind == optim::OptimiserKind::adam ? 0.9 : 1.0 - 0.1 * 0.5 * 2.0, 1e-6);
  }
}

}  // namespace
}  // namespace switchyard::optim
