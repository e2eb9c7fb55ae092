// What a field's role answers: who may change it in a run that exists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/config.hpp"
#include "run/validate.hpp"
#include "unit/run/config/valid_config.hpp"

namespace switchyard::run {
namespace {

using test::valid;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

std::vector<std::string> keys_that(bool (*hold)(const config::Field&)) {
  std::vector<std::string> names;
  for (const config::Key& key : schema().keys()) {
    if (hold(*key.field)) names.push_back(key.name);
  }
  return names;
}

// What the arithmetic or the schedule reads is fixed when a run starts.
TEST(Roles, a_resume_changes_nothing_that_changes_the_numbers) {
  EXPECT_THAT(keys_that(may_change_on_resume),
              UnorderedElementsAre("run.threads", "run.max_minutes", "run.device", "run.wait_seconds",
                                   "comm.data_plane", "comm.overlap", "train.max_steps", "train.recompute",
                                   "train.log_every_steps", "checkpoint.every_steps", "checkpoint.keep_last",
                                   "metrics.every_steps", "output.tensorboard", "output.trace",
                                   "output.trace_steps", "data.dir", "data.file", "csv.label", "csv.cluster",
                                   "csv.id", "csv.weight", "moe.placement", "moe.replicas"));
}

TEST(Roles, an_evaluation_may_ask_fewer_experts_elsewhere) {
  EXPECT_THAT(
      keys_that(may_change_in_evaluation),
      UnorderedElementsAre("data.source", "data.dir", "data.file", "data.derive", "data.prepare",
                           "images.channels", "images.size", "csv.label", "csv.cluster", "csv.id", "csv.weight",
                           "data.evaluation_samples", "moe.top_k", "moe.bias_rate", "moe.placement",
                           "moe.replicas", "train.recompute", "transformer.integer_products", "run.threads",
                           "run.device", "run.wait_seconds", "comm.data_plane", "comm.overlap", "moe.groups",
                           "moe.top_groups", "moe.capacity", "moe.drop", "moe.capacity_when"));
}

TEST(Roles, ranks_may_differ_in_where_they_run) {
  EXPECT_THAT(keys_that([](const config::Field& field) { return field.scope == config::Scope::rank; }),
              ElementsAre("run.threads", "data.dir", "data.file"));
}

// So that another moe.top_k may be asked of any model that could be trained.
TEST(Roles, without_training_no_regulariser_forbids_another_top_k) {
  Config config = valid();
  config.moe.top_k = 2;
  config.moe.noise = moe::GateNoise::normal;
  config.moe.load = 0.1;
  config.moe.importance = config.moe.balance = config.moe.similarity = 0.3;
  config.moe.similarity_layer = 1;
  config.train.freeze = "none";
  config.data.augment = "flip crop:1";
  config.optim.learning_rate = 0.5;
  EXPECT_NO_THROW(validate(config));
  Config asked = without_training(config);
  for (const auto& [key, weight] : moe::regulariser_weights(asked.moe)) EXPECT_EQ(weight, 0) << key;
  EXPECT_EQ(asked.moe.noise, moe::GateNoise::none) << "noise of training alone";
  asked.moe.top_k = 0;
  EXPECT_NO_THROW(validate(asked));
  EXPECT_EQ(asked.model.gate, config.model.gate);
  EXPECT_EQ(asked.moe.experts, config.moe.experts);
  EXPECT_EQ(asked.train.batch_size, config.train.batch_size);
  EXPECT_EQ(asked.data.dir, config.data.dir);
  EXPECT_EQ(asked.data.augment, "none") << "images of training alone";
  EXPECT_EQ(asked.run.seed, config.run.seed);
}

TEST(Roles, a_capacity_of_training_alone_does_not_stay_in_an_evaluation) {
  Config config = valid();
  config.moe.top_k = 2;
  config.model.loss = model::Loss::cross_entropy;
  config.moe.capacity = 0.5;
  config.moe.drop = moe::DropBy::score;
  EXPECT_NO_THROW(validate(config));
  Config asked = without_training(config);
  EXPECT_EQ(asked.moe.capacity, 0);
  asked.moe.top_k = 0;
  EXPECT_NO_THROW(validate(asked));
  set_capacity(asked.moe, 1);
  EXPECT_EQ(asked.moe.capacity_when, moe::When::always) << "one that an evaluation asks for is of it";
  config.moe.capacity_when = moe::When::always;
  asked = without_training(config);
  EXPECT_EQ(asked.moe.capacity, 0.5);
  set_capacity(asked.moe, 0);
  EXPECT_NO_THROW(validate(asked)) << "nothing drops, and no key says by what";
}

TEST(Roles, noise_of_every_pass_stays_in_an_evaluation) {
  Config config = valid();
  config.moe.top_k = 2;
  config.moe.noise = moe::GateNoise::uniform;
  config.moe.noise_when = moe::When::always;
  EXPECT_EQ(without_training(config).moe.noise, moe::GateNoise::uniform);
}

}  // namespace
}  // namespace switchyard::run
