// A warm training step allocates nothing in our code.
#include "support/allocation_counter.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "run/config.hpp"
#include "support/cifar_files.hpp"
#include "support/temporary_directory.hpp"
#include "train/step.hpp"

namespace switchyard::train {
namespace {

run::Config make_config(index_t top_k) {
  run::Config config;
  config.data.source = data::Source::random;
  config.data.random.samples = 1000;
  config.data.random.features = 40;
  config.data.random.classes = 5;
  config.model.gate = "dense:64 relu dense:experts";
  config.model.expert = "dense:16 relu dense:classes";
  config.moe.experts = 6;
  config.moe.top_k = top_k;
  config.moe.importance = 0.2;
  config.optim.clip_norm = 1.0;
  config.train.batch_size = 300;  // three whole batches and a short one
  return config;
}

run::Config clustered_config() {
  run::Config config;
  config.data.source = data::Source::clusters;
  config.data.clusters.samples = 1000;
  config.model.gate = "patch_filters:1 sum:experts";
  config.model.expert = "patch_filters:8 bias cubic sum:classes";
  config.model.loss = model::Loss::logistic;
  config.moe.experts = 6;
  config.moe.top_k = 1;
  config.moe.noise = moe::GateNoise::uniform;
  config.moe.gate_value = moe::GateValue::noisy_softmax;
  config.moe.balance = 0.01;
  config.optim.name = optim::OptimiserKind::normalised_sgd;
  config.optim.gate_name = optim::OptimiserKind::sgd;
  config.optim.gradient_norm = optim::GradientNorm::sum_of_tensors;
  config.train.batch_size = 300;
  return config;
}

std::int64_t allocations_of_warm_steps(const run::Config& config, int threads) {
  const data::Dataset dataset = data::load_dataset(config.data, config.run.seed);
  comm::LocalCommunicator communicator;
  comm::HostDataPlane data_plane(communicator);
  device::Context context(threads);
  const comm::Resources resources{communicator, data_plane, context};
  BatchLoader loader(config.train, config.run.seed, dataset, resources);
  const std::unique_ptr<model::Model> model =
      model::make_model(run::model_options(config), task_of(dataset), resources);
  model->values_changed();
  optim::Optimiser optimiser(config.optim, model->norm_table(), model->slices());
  Step step(config.optim, 100, {loader, *model, optimiser}, resources);
  // A library primitive is built when a thread meets a shape for the first time, and which thread takes which
  // tile is left to chance: two epochs at a time, until two went by without a first time.
  index_t next = 0;
  std::int64_t allocated = 1;
  for (int attempt = 0; attempt < 40 && allocated != 0; ++attempt) {
    const std::int64_t before = allocations();
    for (int i = 0; i < 8; ++i) step.run(next++, {});
    allocated = allocations() - before;
  }
  return allocated;
}

// Two mixture layers of 5 experts on text that is made up in `folder`.
run::Config token_config(const std::filesystem::path& folder) {
  std::ofstream text(folder / "made_up.txt");
  for (int i = 0; i < 100'000; ++i) text.put(static_cast<char>('a' + i * i % 23));
  run::Config config;
  config.data.source = data::Source::text;
  config.data.dir = folder.string();
  config.data.window = 32;
  config.model = {"dense:experts", "dense:16 relu dense:width"};
  config.model.family = model::Family::tokens;
  config.model.tokens.width = 8;
  config.moe.experts = 5;
  config.moe.top_k = 2;
  config.moe.noise = moe::GateNoise::normal;
  config.moe.importance = config.moe.balance = config.moe.load = config.moe.z_loss = 0.01;
  config.train.batch_size = 32;
  return config;
}

TEST(Step, of_a_model_of_text_allocates_nothing_once_it_is_warm) {
  const test::TemporaryDirectory folder;
  for (const int threads : {1, 2}) {
    run::Config config = token_config(folder.path());
    EXPECT_EQ(allocations_of_warm_steps(config, threads), 0) << threads << " threads";
    config.train.parts = 3;
    EXPECT_EQ(allocations_of_warm_steps(config, threads), 0) << "in parts, " << threads << " threads";
  }
}

TEST(Step, of_a_transformer_allocates_nothing_once_it_is_warm) {
  const test::TemporaryDirectory folder;
  run::Config config = token_config(folder.path());
  config.model.gate = config.model.expert = "";
  config.model.family = model::Family::transformer;
  config.model.transformer = {.width = 12, .layers = 2, .heads = 2, .hidden = 10, .window = config.data.window};
  config.moe.hidden = 6;
  for (const int threads : {1, 2}) {
    config.model.transformer.quantise = nn::Quantiser::none;
    config.model.transformer.integer_products = false;
    config.train.parts = 1;
    EXPECT_EQ(allocations_of_warm_steps(config, threads), 0) << threads << " threads";
    config.train.parts = 3;
    EXPECT_EQ(allocations_of_warm_steps(config, threads), 0) << "in parts, " << threads << " threads";
    config.model.transformer.quantise = nn::Quantiser::bitnet;
    config.model.transformer.integer_products = true;
    EXPECT_EQ(allocations_of_warm_steps(config, threads), 0) << "quantised, " << threads << " threads";
  }
}

TEST(Step, of_a_capacity_allocates_nothing_once_it_is_warm) {
  const test::TemporaryDirectory folder;
  run::Config config = token_config(folder.path());
  config.moe.capacity = 0.8;
  for (const moe::DropBy drop : {moe::DropBy::position, moe::DropBy::score}) {
    config.moe.drop = drop;
    EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << word_of(config.moe, "drop");
  }
}

TEST(Step, of_blocks_of_rows_allocates_nothing_once_it_is_warm) {
  for (const int parts : {1, 3}) {
    run::Config config = make_config(2);
    config.moe.gradient_blocks = 5;
    config.train.parts = parts;
    EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << parts << " parts";
  }
}

TEST(Step, in_parts_allocates_nothing_once_it_is_warm) {
  run::Config config = make_config(2);
  config.train.parts = 4;
  EXPECT_EQ(allocations_of_warm_steps(config, 2), 0);
}

TEST(Step, allocates_nothing_once_it_is_warm) {
  for (const index_t top_k : {0, 2}) {
    for (const int threads : {1, 2}) {
      EXPECT_EQ(allocations_of_warm_steps(make_config(top_k), threads), 0)
          << "top_k " << top_k << ", " << threads << " threads";
    }
  }
}

TEST(Step, with_every_regulariser_allocates_nothing_once_it_is_warm) {
  for (const index_t layer : {0, 1}) {
    for (const int threads : {1, 2}) {
      run::Config config = make_config(2);
      config.moe.noise = moe::GateNoise::normal;
      config.moe.load = 0.1;
      config.moe.balance = 0.01;
      config.moe.z_loss = 0.001;
      config.moe.gate_entropy = 0.01;
      config.moe.similarity = 1;
      config.moe.similarity_layer = layer;
      EXPECT_EQ(allocations_of_warm_steps(config, threads), 0)
          << "layer " << layer << ", " << threads << " threads";
    }
  }
}

TEST(Step, with_a_frozen_network_allocates_nothing_once_it_is_warm) {
  for (const char* const freeze : {"gate", "experts"}) {
    run::Config config = make_config(2);
    config.moe.importance = 0;
    config.train.freeze = freeze;
    EXPECT_EQ(allocations_of_warm_steps(config, 2), 0);
  }
}

TEST(Step, with_another_gate_allocates_nothing_once_it_is_warm) {
  for (const char* const gate :
       {"dense:64 relu attention:experts", "most_certain:experts", "by_label:experts", "none"}) {
    run::Config config = make_config(0);
    config.model.gate = gate;
    config.moe.importance = 0;
    if (config.model.gate == "by_label:experts") {
      config.moe.partition = "0 | 1 | 2 | 3 | 4";
      config.moe.experts = 5;
    }
    if (config.model.gate == "none") config.moe.experts = 1;
    EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << gate;
  }
  run::Config config = make_config(0);
  config.model.loss = model::Loss::predicted_loss;
  EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << "predicted losses";
  config = make_config(2);
  config.moe.expert_temperature = 2.5;
  EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << "two temperatures";
}

TEST(Step, on_clusters_allocates_nothing_once_it_is_warm) {
  for (const auto order : {train::SampleOrder::shuffled, train::SampleOrder::fixed}) {
    for (const int threads : {1, 2}) {
      run::Config config = clustered_config();
      config.train.order = order;
      EXPECT_EQ(allocations_of_warm_steps(config, threads), 0) << threads << " threads";
    }
  }
}

TEST(Step, on_augmented_images_allocates_nothing_once_it_is_warm) {
  const test::TemporaryDirectory dir;
  test::write_cifar100(dir.path(), 100, 20);
  run::Config config = make_config(0);
  config.data.source = data::Source::cifar;
  config.data.dir = dir.path().string();
  config.data.validation_samples = 0;
  config.train.batch_size = 30;
  for (const char* const augment : {"flip crop:4", "flip crop:4 blur:3x7:1.1:2.2 rotate:10"}) {
    config.data.augment = augment;
    EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << augment;
  }
}

TEST(Step, of_several_convolutions_with_batch_norm_allocates_nothing_once_it_is_warm) {
  const test::TemporaryDirectory dir;
  test::write_cifar100(dir.path(), 100, 20);
  for (const index_t top_k : {0, 1}) {
    run::Config config = make_config(top_k);
    config.data.source = data::Source::cifar;
    config.data.dir = dir.path().string();
    config.data.validation_samples = 0;
    config.model.gate =
        "padded_conv:4 relu max_pool padded_conv:6 batch_norm relu max_pool dense:16 relu dense:experts";
    config.model.expert = "padded_conv:3 batch_norm relu max_pool padded_conv:5 batch_norm relu dense:classes";
    config.moe.experts = 3;
    config.train.batch_size = 30;
    EXPECT_EQ(allocations_of_warm_steps(config, 2), 0) << "top_k " << top_k;
  }
}

TEST(AllocationCounter, counts) {
  const std::int64_t before = allocations();
  auto* const number = new int(1);
  EXPECT_EQ(allocations() - before, 1);
  delete number;
}

}  // namespace
}  // namespace switchyard::train
