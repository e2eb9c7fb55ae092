// What the optimiser and its schedule cannot be asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/run/config/valid_config.hpp"

namespace switchyard::run {
namespace {

using test::error_of;
using test::valid;
using testing::HasSubstr;

TEST(ValidateOptimiser, warm_up_ends_before_the_schedule) {
  const auto warm_up = [](std::int64_t steps) {
    return [steps](Config& c) {
      c.optim.schedule_steps = 100;
      c.optim.warmup_steps = steps;
    };
  };
  EXPECT_THAT(error_of(warm_up(101)), HasSubstr("optim.warmup_steps = 101 exceeds optim.schedule_steps = 100"));
  Config unset = valid();
  unset.optim.warmup_steps = 101;  // schedule_steps = 0: known only with the data
  EXPECT_NO_THROW(validate(unset));
}

TEST(ValidateOptimiser, a_floor_is_of_a_rate_that_falls_and_a_share_of_what_is_stable_before) {
  EXPECT_THAT(error_of([](Config& c) { c.optim.floor = 0.1; }),
              HasSubstr("optim.floor = 0.1 with optim.schedule = constant (the rate does not fall)"));
  Config config = valid();
  for (const auto schedule :
       {optim::ScheduleKind::cosine, optim::ScheduleKind::linear, optim::ScheduleKind::warmup_stable_decay}) {
    config.optim.schedule = schedule;
    config.optim.floor = 0.1;
    EXPECT_NO_THROW(validate(config));
  }
  config.optim.decay_share = 1;
  EXPECT_NO_THROW(validate(config));
  EXPECT_THAT(error_of([](Config& c) {
                c.optim.schedule = optim::ScheduleKind::linear;
                c.optim.decay_share = 0.1;
              }),
              HasSubstr("optim.decay_share = 0.1 without optim.schedule = warmup_stable_decay"));
}

TEST(ValidateOptimiser, a_setting_that_the_optimiser_ignores_is_an_error) {
  EXPECT_THAT(error_of([](Config& c) { c.optim.momentum = 0.9; }),
              HasSubstr("optim.momentum = 0.9 with optim.name = adam"));
  EXPECT_THAT(error_of([](Config& c) {
                c.optim.name = optim::OptimiserKind::sgd;
                c.optim.beta1 = 0.8;
              }),
              HasSubstr("without adam or adamw (nothing else reads them; they are 0.8, 0.999 and 1e-08)"));
  EXPECT_THAT(error_of([](Config& c) {
                c.optim.name = optim::OptimiserKind::adamw;
                c.optim.momentum = 0.9;
              }),
              HasSubstr("optim.momentum = 0.9 with optim.name = adamw"));
  EXPECT_THAT(error_of([](Config& c) { c.optim.decay_on = {"weight"}; }),
              HasSubstr("optim.decay_on = weight with optim.weight_decay = 0 (nothing decays)"));
}

TEST(ValidateOptimiser, what_decays_is_named_by_the_words_for_parameters) {
  EXPECT_THAT(error_of([](Config& c) {
                c.optim.weight_decay = 0.1;
                c.optim.decay_on = {"weight", "gate"};
              }),
              HasSubstr("optim.decay_on has 'gate' (parameters are weight, bias, norm, embedding, router)"));
  Config config = valid();
  config.optim.name = optim::OptimiserKind::adamw;
  config.optim.beta1 = 0.8;
  config.optim.weight_decay = 0.1;
  config.optim.decay_on = {"weight", "bias", "norm", "embedding", "router"};
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateOptimiser, an_optimiser_that_float32_cannot_hold_is_an_error) {
  EXPECT_THAT(error_of([](Config& c) { c.optim.beta2 = 0.99999999; }),
              HasSubstr("optim.beta2 = 0.99999999 is too near to 1 (a step would change 1e-08 of a moment"));
  EXPECT_THAT(error_of([](Config& c) { c.optim.beta1 = 0.9999999; }), HasSubstr("optim.beta1 = 0.9999999 is"));
  EXPECT_THAT(error_of([](Config& c) {
                c.optim.name = optim::OptimiserKind::sgd;
                c.optim.momentum = 0.99999999;
              }),
              HasSubstr("optim.momentum = 0.99999999 is too near to 1"));
  EXPECT_THAT(error_of([](Config& c) { c.optim.epsilon = 1e-40; }),
              HasSubstr("optim.epsilon = '1e-40' is 0 in float32, whose smallest number is 1.2e-38 ("));
  EXPECT_THAT(error_of([](Config& c) { c.data.mean = {0, 1e39}; }), HasSubstr("is infinite in float32"));
  EXPECT_THAT(error_of([](Config& c) { c.optim.learning_rate = 1e-50; }), HasSubstr("is 0 in float32"));
  Config slow = valid();
  slow.optim.beta1 = 0;
  slow.optim.beta2 = 0.999999;
  slow.optim.epsilon = 2e-38;
  EXPECT_NO_THROW(validate(slow));
}

}  // namespace
}  // namespace switchyard::run
