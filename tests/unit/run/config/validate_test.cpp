#include "run/validate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "run/config.hpp"
#include "unit/run/config/valid_config.hpp"

namespace switchyard::run {
namespace {

using switchyard::test::config_error_of;
using test::error_of;
using test::valid;
using testing::AllOf;
using testing::HasSubstr;

TEST(Validate, accepts_what_is_right) {
  EXPECT_NO_THROW(validate(valid()));
  Config config = valid();
  config.moe.top_k = config.moe.experts;
  config.optim.warmup_steps = config.optim.schedule_steps = 100;
  config.optim.name = optim::OptimiserKind::sgd;
  config.optim.momentum = 0.9;
  EXPECT_NO_THROW(validate(config));
  config.data.source = data::Source::random;
  config.data.dir = "";
  config.model.gate = "dense:experts";
  config.model.expert = "dense:4 relu dense:classes";
  EXPECT_NO_THROW(validate(config));
}

TEST(Validate, the_defaults_lack_data_and_networks) {
  EXPECT_THAT(config_error_of([] { validate(Config{}); }), HasSubstr("data.dir"));
}

TEST(Validate, replicas_share_out_blocks_and_nothing_else) {
  const auto with = [](index_t replicas, index_t blocks) {
    return [=](Config& c) {
      c.moe.replicas = replicas;
      c.moe.gradient_blocks = blocks;
    };
  };
  for (const auto& [replicas, blocks] : {std::pair{1, 0}, {1, 3}, {2, 2}, {3, 7}}) {
    Config config = valid();
    with(replicas, blocks)(config);
    EXPECT_NO_THROW(validate(config));
  }
  EXPECT_THAT(error_of(with(2, 0)), AllOf(HasSubstr("moe.replicas = 2 with moe.gradient_blocks = 0"),
                                          HasSubstr("set moe.gradient_blocks")));
  EXPECT_THAT(error_of(with(3, 2)), HasSubstr("moe.gradient_blocks = 2"));
  EXPECT_THAT(error_of([&](Config& c) {
                with(2, 2)(c);
                c.model.expert = "conv:4 batch_norm relu dense:classes";
              }),
              HasSubstr("moe.replicas = 2 with batch_norm in model.expert"));
}

TEST(Validate, more_top_k_than_experts) {
  EXPECT_THAT(error_of([](Config& c) { c.moe.top_k = 6; }),
              AllOf(HasSubstr("more top-k than experts (moe.top_k = 6, moe.experts = 5)"),
                    HasSubstr("; lower moe.top_k")));
}

TEST(Validate, parts_have_no_batch_norm) {
  EXPECT_THAT(
      error_of([](Config& c) { c.train.parts = 2; }),
      AllOf(HasSubstr("train.parts = 2 with batch_norm in model.gate"), HasSubstr("; set train.parts = 1")));
  Config config = valid();
  config.train.parts = 2;
  config.model.gate = "dense:experts";
  EXPECT_NO_THROW(validate(config));
}

TEST(Validate, importance_needs_two_experts) {
  EXPECT_THAT(error_of([](Config& c) {
                c.moe.experts = 1;
                c.moe.importance = 0.2;
              }),
              HasSubstr("moe.importance = 0.2 with one expert"));
}

TEST(Validate, idx_needs_a_folder) {
  EXPECT_THAT(error_of([](Config& c) { c.data.dir = ""; }),
              AllOf(HasSubstr("data.dir is empty (data.source = idx"), HasSubstr("--data.dir=FOLDER")));
}

TEST(Validate, cifar_has_images_labels_and_augmentation) {
  const auto cifar = [](Config& c) {
    c.data.source = data::Source::cifar;
    c.data.cifar.labels = data::LabelLevel::coarse;
    c.data.augment = "flip crop:4";
  };
  Config config = valid();
  cifar(config);
  EXPECT_NO_THROW(validate(config));
  EXPECT_THAT(error_of([&](Config& c) {
                cifar(c);
                c.data.dir = "";
              }),
              HasSubstr("data.dir is empty (data.source = cifar"));
  EXPECT_THAT(error_of([](Config& c) {
                c.data.validation_balanced = true;
                c.data.validation_samples = 0;
              }),
              HasSubstr("data.validation_balanced = yes with data.validation_samples = 0"));
  EXPECT_THAT(error_of([](Config& c) {
                c.data.validation_balanced = true;
                c.data.source = data::Source::random;
              }),
              HasSubstr("data.validation_balanced = yes with data.source = "));
  EXPECT_THAT(error_of([](Config& c) { c.data.cifar.labels = data::LabelLevel::coarse; }),
              HasSubstr("cifar.labels = coarse without data.source = cifar"));
}

TEST(Validate, what_is_done_to_images_is_of_sources_of_images) {
  const auto with = [](std::string data::Options::*key, const char* text, data::Source source) {
    return [=](Config& c) {
      c.data.source = source;
      c.data.*key = text;
    };
  };
  EXPECT_THAT(error_of(with(&data::Options::derive, "rotated:30", data::Source::csv)),
              HasSubstr("data.derive = rotated:30 with data.source = csv (its samples are no images); set "
                        "data.derive = none"));
  EXPECT_THAT(error_of(with(&data::Options::prepare, "resize:32", data::Source::csv)),
              HasSubstr("data.prepare = resize:32 with data.source = csv"));
  EXPECT_THAT(error_of(with(&data::Options::augment, "flip", data::Source::csv)),
              HasSubstr("data.augment = flip with data.source = csv"));
  EXPECT_THAT(
      error_of(with(&data::Options::augment, "flop", data::Source::idx)),
      HasSubstr("data.augment: word 1 'flop' is nothing that data.augment does (column 1 of 'flop'); did you "
                "mean 'flip'?"));
}

TEST(Validate, a_run_needs_a_folder) {
  EXPECT_THAT(error_of([](Config& c) { c.run.dir = ""; }), HasSubstr("run.dir is empty"));
}

TEST(Validate, both_networks_are_required) {
  EXPECT_THAT(error_of([](Config& c) { c.model.gate = ""; }), HasSubstr("model.gate is empty"));
  EXPECT_THAT(error_of([](Config& c) { c.model.expert = ""; }), HasSubstr("model.expert is empty"));
  EXPECT_THAT(error_of([](Config& c) { c.model.expert = "dense:experts"; }),
              HasSubstr("model.expert: layer 1"));
}

TEST(Validate, flat_samples_take_no_image_layers) {
  for (const auto gate :
       {"conv:8 relu dense:experts", "max_pool dense:experts", "padded_conv:8 relu dense:experts"}) {
    EXPECT_THAT(
        error_of([&](Config& c) {
          c.data.source = data::Source::random;
          c.model.gate = gate;
        }),
        HasSubstr(
            "model.gate has layers of images, such as conv and max_pool (data.source = idx, cifar, images, hdf5 and npy have images)"));
  }
}

TEST(Validate, checks_ranges_of_a_configuration_made_by_code) {
  EXPECT_THAT(error_of([](Config& c) { c.train.batch_size = 0; }),
              HasSubstr("train.batch_size = '0' is out of range"));
  EXPECT_THAT(error_of([](Config& c) { c.train.shards = -3; }),
              HasSubstr("train.shards = '-3' is out of range"));
  EXPECT_THAT(error_of([](Config& c) { c.optim.learning_rate = std::numeric_limits<double>::quiet_NaN(); }),
              HasSubstr("optim.learning_rate = 'nan' is out of range"));
  EXPECT_THAT(error_of([](Config& c) { c.data.dir = "a#b"; }), HasSubstr("data.dir = 'a#b' has a '#'"));
  EXPECT_THAT(error_of([](Config& c) { c.run.seed = std::numeric_limits<std::uint64_t>::max(); }),
              HasSubstr("run.seed"));
}

// A valid run on clusters, for the rules of the mixture and of the data.
Config clustered() {
  Config config;
  config.data.source = data::Source::clusters;
  config.model.gate = "patch_filters:1 sum:experts";
  config.model.expert = "patch_filters:8 cubic sum:classes";
  config.model.loss = model::Loss::logistic;
  config.moe.top_k = 1;
  config.moe.noise = moe::GateNoise::uniform;
  config.optim.name = optim::OptimiserKind::normalised_sgd;
  config.optim.gate_name = optim::OptimiserKind::sgd;
  return config;
}

std::string clustered_error_of(const std::function<void(Config&)>& change) {
  Config config = clustered();
  change(config);
  return config_error_of([&] { validate(config); });
}

TEST(ValidateClusters, accepts_what_is_right) {
  EXPECT_NO_THROW(validate(clustered()));
  Config config = clustered();
  config.data.clusters.patch_size = 2 * config.data.clusters.count;
  config.data.clusters.signal_min = config.data.clusters.signal_max = 1;
  config.data.clusters.patch_noise = 0;
  config.moe.gate_value = moe::GateValue::noisy_logit;
  config.moe.balance = 0.01;
  EXPECT_NO_THROW(validate(config));
  config.model.loss = model::Loss::likelihood;
  config.moe.gate_value = moe::GateValue::noisy_softmax;
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateClusters, needs_room_for_orthogonal_vectors) {
  EXPECT_THAT(clustered_error_of([](Config& c) { c.data.clusters.patch_size = 7; }),
              AllOf(HasSubstr("clusters.patch_size = 7 is below 2 x 4 clusters"), HasSubstr("; raise it")));
  EXPECT_THAT(clustered_error_of([](Config& c) { c.data.clusters.count = 26; }),
              HasSubstr("clusters.patch_size = 50 is below 2 x 26 clusters"));
  EXPECT_THAT(clustered_error_of([](Config& c) { c.data.clusters.count = 1; }), HasSubstr("clusters.count"));
  EXPECT_THAT(clustered_error_of([](Config& c) { c.data.clusters.patches = 2; }),
              HasSubstr("clusters.patches"));
}

TEST(ValidateClusters, ranges_begin_before_they_end) {
  const auto swapped = [](double data::ClusterOptions::*min) {
    return clustered_error_of([&](Config& c) { c.data.clusters.*min = 5; });
  };
  EXPECT_THAT(swapped(&data::ClusterOptions::signal_min),
              HasSubstr("clusters.signal_min = 5 is above clusters.signal_max = 2"));
  EXPECT_THAT(swapped(&data::ClusterOptions::center_min), HasSubstr("clusters.center_min = 5 is above"));
  EXPECT_THAT(swapped(&data::ClusterOptions::noise_min), HasSubstr("clusters.noise_min = 5 is above"));
  EXPECT_THAT(clustered_error_of([](Config& c) { c.data.clusters.signal_min = 0; }),
              HasSubstr("clusters.signal_min"));
}

TEST(ValidateInit, parts_need_a_source) {
  for (const std::string parts : {"gate", "experts", "experts/*", "gate/dense_1 experts/0003"}) {
    Config config = valid();
    config.init.parts = parts;
    EXPECT_THAT(config_error_of([&] { validate(config); }),
                HasSubstr("init.parts = " + parts + " without init.from"));
    config.init.from = "runs/a";
    EXPECT_NO_THROW(validate(config));
  }
  for (const std::string parts : {"none", "", ","}) {
    EXPECT_THAT(error_of([&](Config& c) {
                  c.init.from = "runs/a";
                  c.init.parts = parts;
                }),
                HasSubstr("init.parts = '" + parts + "' names nothing to read"));
  }
}

TEST(ValidateFreeze, a_frozen_gate_is_not_regularised_and_has_no_optimiser) {
  const auto error_of_frozen = [](const std::function<void(Config&)>& change) {
    return error_of([&](Config& c) {
      c.train.freeze = "gate";
      change(c);
    });
  };
  Config config = valid();
  config.train.freeze = "gate";
  EXPECT_NO_THROW(validate(config));
  EXPECT_THAT(error_of_frozen([](Config& c) { c.moe.importance = 0.2; }),
              HasSubstr("moe.importance = 0.2 with train.freeze = gate"));
  EXPECT_THAT(error_of_frozen([](Config& c) {
                c.moe.top_k = 1;
                c.moe.balance = 0.3;
              }),
              HasSubstr("moe.balance = 0.3 with train.freeze = gate"));
  EXPECT_THAT(error_of_frozen([](Config& c) { c.moe.z_loss = 0.4; }), HasSubstr("moe.z_loss = 0.4 with"));
  EXPECT_THAT(error_of_frozen([](Config& c) { c.moe.gate_entropy = 0.5; }),
              HasSubstr("moe.gate_entropy = 0.5 with"));
  EXPECT_THAT(error_of_frozen([](Config& c) { c.moe.similarity_same = 0.5; }),
              HasSubstr("moe.similarity_same = 0.5 with"));
  EXPECT_THAT(error_of_frozen([](Config& c) { c.optim.gate_learning_rate = 0.1; }),
              HasSubstr("optim.gate_learning_rate is set with train.freeze = gate"));
  EXPECT_THAT(error_of_frozen([](Config& c) { c.optim.gate_name = optim::OptimiserKind::sgd; }),
              HasSubstr("optim.gate_name or"));
  config.train.freeze = "experts";
  config.moe.importance = 0.2;
  config.optim.gate_learning_rate = 0.1;
  EXPECT_NO_THROW(validate(config));
  // The scores of an attentive gate are also the experts'.
  config = valid();
  config.model.gate = "dense:8 attention:experts";
  config.moe.importance = 0.2;
  config.train.freeze = "gate";
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateFreeze, names_whole_networks_by_patterns) {
  const auto frozen = [](const std::string& patterns) {
    const model::Frozen found = model::frozen_networks(patterns, 12);
    return std::string(found.gate ? "gate" : "") + (found.experts ? "experts" : "");
  };
  EXPECT_EQ(frozen("none"), "");
  for (const std::string gate : {"gate", "gate/*", "g*", "gate, gate/*"})
    EXPECT_EQ(frozen(gate), "gate") << gate;
  for (const std::string experts : {"experts", "experts/*", "*/00*", "experts/000? experts/0010, experts/0011"})
    EXPECT_EQ(frozen(experts), "experts") << experts;
  for (const std::string all : {"all", "*", "gate experts"}) EXPECT_EQ(frozen(all), "gateexperts") << all;
}

TEST(ValidateFreeze, refuses_what_is_no_whole_network) {
  const auto error_of_freeze = [](const std::string& patterns) {
    return error_of([&](Config& c) {
      c.moe.experts = 12;
      c.train.freeze = patterns;
    });
  };
  for (const std::string pattern :
       {"gat", "gate/dense_1", "gate/dense_*", "experts/*/bias", "*weight", "heads"}) {
    EXPECT_EQ(
        error_of_freeze("experts, " + pattern),
        "train.freeze = experts, " + pattern + ": '" + pattern +
            "' is the name of no whole network (networks are frozen whole, and the experts together); write "
            "gate, experts or all");
  }
  EXPECT_EQ(error_of_freeze("experts/0003"),
            "train.freeze = experts/0003 names 1 of 12 experts (they are frozen together or not at all); write "
            "experts");
  EXPECT_THAT(error_of_freeze("gate experts/000?"), HasSubstr("names 10 of 12 experts"));
  EXPECT_THAT(error_of_freeze("all"), HasSubstr("names the whole model (nothing would be trained)"));
  EXPECT_THAT(error_of_freeze(""), HasSubstr("train.freeze is empty; write none"));
  Config config = valid();
  for (const char* const whole : {"gate/*", "experts/*"}) {
    config.train.freeze = whole;
    EXPECT_NO_THROW(validate(config));
  }
}

TEST(ValidateFreeze, something_is_frozen_and_something_is_not) {
  for (const auto& [freeze, fragment] : {std::pair{"gate",
                                                   "train.freeze = gate with model.gate = 'by_label:experts' "
                                                   "(that gate has no network, so it never changes)"},
                                         {"experts", "nothing would be trained"}}) {
    EXPECT_THAT(error_of([&](Config& c) {
                  c.model.gate = "by_label:experts";
                  c.moe.experts = 2;
                  c.moe.partition = "0 1 | 2";
                  c.train.freeze = freeze;
                }),
                HasSubstr(fragment));
    EXPECT_THAT(error_of([&](Config& c) {
                  c.model.gate = "none";
                  c.moe.experts = 1;
                  c.train.freeze = freeze;
                }),
                HasSubstr("with model.gate = 'none'"));
  }
  EXPECT_THAT(error_of([](Config& c) {
                c.moe.expert_temperature = 2;
                c.train.freeze = "experts";
              }),
              HasSubstr("moe.expert_temperature = 2 with train.freeze = experts"));
}

TEST(ValidateClusters, a_likelihood_takes_no_scores_for_weights) {
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.model.loss = model::Loss::likelihood;
                c.moe.gate_value = moe::GateValue::noisy_logit;
              }),
              HasSubstr("moe.gate_value = noisy_logit with model.loss = likelihood"));
}

TEST(ValidateClusters, noise_is_there_if_it_is_named_and_chooses_something) {
  for (const moe::GateValue value : {moe::GateValue::noisy_softmax, moe::GateValue::noisy_logit}) {
    EXPECT_THAT(clustered_error_of([&](Config& c) {
                  c.moe.noise = moe::GateNoise::none;
                  c.moe.gate_value = value;
                }),
                HasSubstr("moe.gate_value names noise, and moe.noise = none"));
  }
  EXPECT_THAT(clustered_error_of([](Config& c) { c.moe.top_k = 0; }),
              HasSubstr("moe.noise = uniform with moe.top_k = 0"));
}

TEST(ValidateNoise, has_a_scale_only_where_there_is_noise) {
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.moe.noise = moe::GateNoise::none;
                c.moe.gate_value = moe::GateValue::softmax;
                c.moe.noise_scale = 0.5;
              }),
              HasSubstr("moe.noise_scale = 0.5 with moe.noise = none"));
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.moe.noise = moe::GateNoise::normal;
                c.moe.top_k = 0;
              }),
              HasSubstr("moe.noise = normal with moe.top_k = 0"));
}

TEST(ValidateNoise, has_a_scale_that_float32_scores_feel) {
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.moe.noise = moe::GateNoise::none;
                c.moe.noise_scale = 0;
                c.moe.noise_when = moe::When::always;
              }),
              HasSubstr("moe.noise_when = always or moe.noise_draw = every_step with moe.noise = none"));
  EXPECT_THAT(clustered_error_of([](Config& c) { c.moe.noise_scale = 1e-30; }),
              HasSubstr("moe.noise_scale = 1e-30 (float32 scores"));
}

TEST(ValidateLoad, needs_normal_noise_and_a_choice) {
  const auto load = [](auto change) {
    return clustered_error_of([&](Config& c) {
      c.moe.load = 0.1;
      c.moe.noise = moe::GateNoise::normal;
      change(c);
    });
  };
  EXPECT_THAT(load([](Config& c) { c.moe.noise = moe::GateNoise::uniform; }),
              HasSubstr("moe.load = 0.1 needs moe.noise = normal and moe.top_k below moe.experts"));
  EXPECT_THAT(load([](Config& c) { c.moe.top_k = c.moe.experts; }), HasSubstr("moe.load = 0.1 needs"));
  Config config = clustered();
  config.moe.load = 0.1;
  config.moe.noise = moe::GateNoise::normal;
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateSimilarity, has_one_form) {
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.moe.similarity = 1;
                c.moe.similarity_same = 1e-6;
              }),
              HasSubstr("moe.similarity = 1 together with moe.similarity_same = 1e-06 and "
                        "moe.similarity_different = 0"));
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.moe.similarity = 1;
                c.moe.similarity_different = 0.5;
              }),
              HasSubstr("moe.similarity_different = 0.5 (they are two forms"));
  Config config = clustered();
  config.moe.similarity_same = 1e-6;
  config.moe.similarity_different = 0.1;
  config.moe.similarity_layer = 1;
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateSimilarity, needs_a_gate_with_scores) {
  for (const auto weight :
       {&moe::Options::similarity, &moe::Options::similarity_same, &moe::Options::similarity_different}) {
    EXPECT_THAT(clustered_error_of([&](Config& c) {
                  c.model.gate = "most_certain:experts";
                  c.moe.*weight = 0.5;
                }),
                HasSubstr("with model.gate = 'most_certain:experts' (it has no scores that could learn)"));
  }
}

TEST(ValidateSimilarity, is_there_if_its_layer_is_named) {
  EXPECT_THAT(clustered_error_of([](Config& c) { c.moe.similarity_layer = 2; }),
              HasSubstr("moe.similarity_layer = 2 without a similarity regulariser"));
}

TEST(ValidateSimilarity, needs_two_experts) {
  for (const auto weight :
       {&moe::Options::similarity, &moe::Options::similarity_same, &moe::Options::similarity_different}) {
    EXPECT_THAT(clustered_error_of([&](Config& c) {
                  c.moe.experts = 1;
                  c.moe.*weight = 0.5;
                }),
                HasSubstr("with one expert (all samples go to it)"));
  }
}

TEST(ValidateClusters, balance_needs_two_experts) {
  EXPECT_THAT(clustered_error_of([](Config& c) {
                c.moe.experts = 1;
                c.moe.balance = 0.01;
              }),
              HasSubstr("moe.balance = 0.01 with one expert"));
}

TEST(ValidateClusters, clusters_are_no_images) {
  EXPECT_THAT(
      clustered_error_of([](Config& c) { c.model.expert = "conv:1 relu max_pool dense:classes"; }),
      HasSubstr(
          "model.expert has layers of images, such as conv and max_pool (data.source = idx, cifar, images, hdf5 and npy have images)"));
}

// What either optimiser reads may be set.
TEST(ValidateClusters, the_gates_optimiser_counts_too) {
  EXPECT_THAT(clustered_error_of([](Config& c) { c.optim.beta1 = 0.8; }), HasSubstr("is set without adam"));
  Config config = clustered();
  config.optim.gate_name = optim::OptimiserKind::adam;
  config.optim.beta1 = 0.8;
  config.optim.momentum = 0.9;  // the experts'
  EXPECT_NO_THROW(validate(config));
  config = clustered();
  config.optim.name = optim::OptimiserKind::adam;
  config.optim.momentum = 0.9;  // the gate's
  EXPECT_NO_THROW(validate(config));
  config.optim.gate_name = optim::OptimiserKind::same;
  EXPECT_THAT(config_error_of([&] { validate(config); }),
              HasSubstr("optim.momentum = 0.9 with optim.name = adam"));
}

}  // namespace
}  // namespace switchyard::run
