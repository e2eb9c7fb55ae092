// The model's loss and every parameter's gradient, on 1, 2, 3 and 7 ranks, against finite differences of a
// naive float64 model.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "numerics/model/mixture_runs.hpp"

namespace switchyard::model {
namespace {

TEST(MixtureGradient, of_the_dense_mixture) {
  expect_equal({conv_gate, conv_expert, image, 0, 0.0}, 1e-6, 2e-6);
}
TEST(MixtureGradient, of_the_importance_regulariser) {
  expect_equal({conv_gate, conv_expert, image, 0, 0.7}, 1e-6, 2e-6);
}
TEST(MixtureGradient, of_top_2_with_importance) {
  expect_equal({conv_gate, conv_expert, image, 2, 0.7}, 1e-6, 2e-6);
}
TEST(MixtureGradient, of_top_1_with_importance) {
  expect_equal({conv_gate, conv_expert, image, 1, 0.7}, 1e-6, 2e-6);
}
TEST(MixtureGradient, of_dense_layers_behind_scattered_rows) {
  expect_equal({"dense:24 relu dense:experts", "dense:5 relu dense:classes", {1, 1, 20}, 2, 0.3}, 1e-6, 2e-6);
}
const std::string deep_gate =
    "padded_conv:3 batch_norm relu max_pool padded_conv:4 batch_norm relu max_pool dense:6 relu dense:experts";
const std::string deep_expert =
    "padded_conv:2 relu max_pool padded_conv:3 batch_norm relu max_pool dense:4 relu dense:classes";

TEST(MixtureGradient, of_several_padded_convolutions_with_batch_norm_in_gate_and_experts) {
  for (const index_t top_k : {0, 1, 2}) {
    SCOPED_TRACE(top_k);
    expect_equal({deep_gate, deep_expert, image, top_k, 0.7}, 1e-6, 4e-6);
  }
}
// 5 channels: no fused first stage; layers with and without each part, and odd sizes.
TEST(MixtureGradient, of_convolutions_with_and_without_what_may_follow) {
  const std::string gate = "padded_conv:3 padded_conv:2 batch_norm max_pool padded_conv:2 relu dense:experts";
  const std::string expert = "padded_conv:1 max_pool padded_conv:17 batch_norm padded_conv:1 dense:classes";
  expect_equal({gate, expert, {5, 5, 4}, 2, 0.3}, 1e-6, 4e-6);
}
// Strides, 1x1 and depthwise convolutions, with and without a norm, and averages of both orders of an image.
TEST(MixtureGradient, of_convolutions_of_every_kind) {
  const std::string gate =
      "padded_conv:4/2 batch_norm relu6 depthwise_conv relu pointwise_conv:3/2 global_average_pool dense:experts";
  const std::string expert =
      "pointwise_conv:5 relu depthwise_conv/2 batch_norm relu6 max_pool padded_conv:3 "
      "dense:classes";
  for (const index_t top_k : {0, 1}) {
    SCOPED_TRACE(top_k);
    expect_equal({gate, expert, {5, 6, 7}, top_k, 0.3}, 1e-6, 4e-6);
    expect_equal({gate, "conv:3 relu max_pool global_average_pool dense:classes", image, top_k, 0.3}, 1e-6,
                 4e-6);
  }
}
TEST(MixtureGradient, of_filters_of_squares) {
  expect_equal({"patches:2 patch_filters:1 bias sum:experts",
                "patches:3 patch_filters:2 gelu sum:classes",
                {3, 6, 12},
                1,
                0.3},
               1e-6, 4e-6);
}
// With what was given as it is, and through a convolution; behind the last block a norm's input, or an average.
TEST(MixtureGradient, of_residual_blocks) {
  const std::string gate =
      "padded_conv:3 batch_norm relu residual:3 residual:4/2 residual:4 global_average_pool dense:experts";
  const std::string expert = "padded_conv:2 relu max_pool residual:3/2 residual:3 dense:classes";
  for (const index_t top_k : {0, 1, 2}) {
    SCOPED_TRACE(top_k);
    expect_equal({gate, expert, image, top_k, 0.7}, 1e-6, 8e-6);
  }
}
TEST(MixtureGradient, of_inverted_residual_blocks) {
  const std::string gate =
      "padded_conv:3 batch_norm relu6 inverted_residual:3 inverted_residual:4/2*2 "
      "inverted_residual:4*3 pointwise_conv:6 batch_norm relu6 global_average_pool dense:experts";
  const std::string expert =
      "padded_conv:2 inverted_residual:2*2 inverted_residual:2*2 global_average_pool "
      "dense:4 relu dense:classes";
  for (const index_t top_k : {0, 1}) {
    SCOPED_TRACE(top_k);
    expect_equal({gate, expert, image, top_k, 0.7}, 1e-6, 8e-6);
  }
}
TEST(MixtureGradient, of_batch_norm_behind_an_experts_only_convolution) {
  for (const std::string expert :
       {"conv:2 batch_norm relu max_pool dense:classes", "padded_conv:2 batch_norm relu max_pool dense:classes",
        "conv:2 batch_norm relu max_pool padded_conv:3 batch_norm relu dense:classes"}) {
    for (const index_t top_k : {0, 1}) {
      SCOPED_TRACE(expert + " top-" + std::to_string(top_k));
      expect_equal({conv_gate, expert, image, top_k, 0.7}, 1e-6, 4e-6);
    }
  }
}
// bf16 keeps 8 bits: operands are off by up to 2^-9, and so are products; sums of few terms average little of
// it out.
TEST(MixtureGradient, in_bf16_is_that_of_float32_but_for_rounded_operands) {
  expect_equal({conv_gate, conv_expert, image, 0, 0.3, nn::Precision::bf16}, 1e-2, 5e-2);
}

TEST(AttentiveGradient, of_the_gate_and_of_the_experts_through_their_keys) {
  expect_equal({attentive_gate, conv_expert, image}, 1e-6, 2e-6);
}
TEST(AttentiveGradient, without_a_relu_in_front_of_the_query_and_behind_the_hidden_vector) {
  expect_equal({"dense:7 attention:experts", "dense:3 dense:classes", image}, 1e-6, 2e-6);
}
TEST(AttentiveGradient, of_every_regulariser_of_the_scores) {
  Setting setting{attentive_gate, conv_expert, image, 0, 0.7};
  setting.z_loss = 0.4;
  setting.gate_entropy = 0.3;
  expect_equal(setting, 1e-6, 2e-6);
}
TEST(AttentiveGradient, of_every_other_loss) {
  for (const model::Loss loss : {model::Loss::stochastic, model::Loss::cross_entropy, model::Loss::logistic,
                                 model::Loss::double_softmax}) {
    SCOPED_TRACE(static_cast<int>(loss));
    expect_equal({.gate = attentive_gate, .expert = conv_expert, .image = image, .loss = loss}, 1e-6, 2e-6);
  }
}
TEST(GateGradient, of_two_temperatures) {
  for (const index_t top_k : {0, 2}) {
    expect_equal({.gate = conv_gate,
                  .expert = conv_expert,
                  .image = image,
                  .top_k = top_k,
                  .importance = 0.3,
                  .expert_temperature = 2.5},
                 1e-6, 2e-6);
  }
}
TEST(GateGradient, of_predicted_losses) {
  expect_equal({.gate = conv_gate, .expert = conv_expert, .image = image, .loss = model::Loss::predicted_loss},
               1e-6, 2e-6);
}
TEST(GateGradient, of_experts_of_which_the_most_certain_answers) {
  expect_equal({.gate = "most_certain:experts", .expert = conv_expert, .image = image}, 1e-6, 2e-6);
}
TEST(GateGradient, of_experts_by_label) {
  for (const model::Loss loss : {model::Loss::likelihood, model::Loss::cross_entropy}) {
    expect_equal(
        {.gate = "by_label:experts", .expert = conv_expert, .image = image, .loss = loss, .partition = "0 2|1"},
        1e-6, 2e-6);
  }
}
TEST(GateGradient, of_a_single_expert) {
  for (const model::Loss loss : {model::Loss::likelihood, model::Loss::cross_entropy}) {
    expect_equal({.gate = "none", .expert = conv_expert, .image = image, .loss = loss}, 1e-6, 2e-6);
  }
}

constexpr model::Loss losses[] = {model::Loss::likelihood, model::Loss::stochastic, model::Loss::cross_entropy,
                                  model::Loss::logistic, model::Loss::double_softmax};
constexpr moe::GateValue gate_values[] = {moe::GateValue::softmax, moe::GateValue::noisy_softmax,
                                          moe::GateValue::noisy_logit};

template <class F>
void for_losses_and_gate_values(const F& f) {
  for (const model::Loss loss : losses) {
    for (const moe::GateValue value : gate_values) {
      const bool likelihood = loss == model::Loss::likelihood || loss == model::Loss::stochastic;
      if (likelihood && value == moe::GateValue::noisy_logit) continue;  // refused
      SCOPED_TRACE("loss " + std::to_string(static_cast<int>(loss)) + ", gate value " +
                   std::to_string(static_cast<int>(value)));
      f(loss, value);
    }
  }
}

TEST(ClusteredGradient, of_every_loss_and_gate_value_with_the_first_choice) {
  for_losses_and_gate_values(
      [](model::Loss loss, moe::GateValue value) { expect_equal(clustered(loss, value), 1e-6, 2e-6); });
}
TEST(ClusteredGradient, of_every_loss_and_gate_value_with_two_choices_and_both_regularisers) {
  for_losses_and_gate_values([](model::Loss loss, moe::GateValue value) {
    Setting setting = clustered(loss, value, 2);
    setting.importance = 0.3;
    setting.balance = 0.6;
    expect_equal(setting, 1e-6, 2e-6);
  });
}
TEST(ClusteredGradient, of_every_loss_without_noise_over_all_experts) {
  for (const model::Loss loss : losses) {
    SCOPED_TRACE(static_cast<int>(loss));
    Setting setting = clustered(loss, moe::GateValue::softmax, 0);
    setting.noise = false;
    setting.balance = 0.6;
    expect_equal(setting, 1e-6, 2e-6);
  }
}
TEST(ClusteredGradient, of_the_balance_loss_with_the_first_choice) {
  for (const moe::GateValue value : gate_values) {
    SCOPED_TRACE(static_cast<int>(value));
    Setting setting = clustered(model::Loss::logistic, value);
    setting.balance = 1.5;
    expect_equal(setting, 1e-6, 2e-6);
  }
}
TEST(ClusteredGradient, of_every_activation_with_and_without_bias) {
  for (const std::string activation : {"", "relu ", "cubic ", "celu ", "gelu ", "tanh "}) {
    for (const std::string bias : {"", "bias "}) {
      SCOPED_TRACE(bias + activation);
      Setting setting = clustered(model::Loss::cross_entropy, moe::GateValue::noisy_softmax);
      setting.gate = "patch_filters:2 " + bias + activation + "sum:experts";
      setting.expert = "patch_filters:3 " + bias + activation + "sum:classes";
      expect_equal(setting, 1e-6, 3e-6);
    }
  }
}
TEST(ClusteredGradient, of_dense_experts_behind_a_gate_of_filters) {
  Setting setting = clustered(model::Loss::double_softmax, moe::GateValue::noisy_logit, 2);
  setting.expert = "dense:7 relu dense:classes";
  setting.balance = 0.2;
  expect_equal(setting, 1e-6, 2e-6);
}
TEST(ClusteredGradient, of_filters_behind_a_dense_gate) {
  Setting setting = clustered(model::Loss::logistic, moe::GateValue::noisy_softmax);
  setting.gate = "dense:24 relu dense:experts";
  expect_equal(setting, 1e-6, 2e-6);
}
TEST(ClusteredGradient, of_noise_that_is_drawn_once) {
  Setting setting = clustered(model::Loss::logistic, moe::GateValue::noisy_logit);
  setting.noise_draw = moe::NoiseDraw::once;
  expect_equal(setting, 1e-6, 2e-6);
}

// The noise moves samples between experts here: without it, or with another, the numbers above would differ.
TEST(ClusteredGradient, has_noise_that_matters) {
  const Setting setting = clustered(model::Loss::logistic, moe::GateValue::noisy_softmax);
  const reference::Parameters parameters = run_model(setting, 1).parameters;
  reference::MixtureCase test = make_reference(setting);
  const std::vector<std::int64_t> with_noise = reference::mixture_loads(test, parameters);
  for (const std::int64_t load : with_noise) EXPECT_GT(load, 0) << "an expert's gradient is not looked at";
  test.noise.clear();
  EXPECT_NE(reference::mixture_loads(test, parameters), with_noise);
}

// Every score, divisor and number of choices, with noise in the weights and all that reads them.
TEST(CosineGradient, of_projection_vectors_and_temperature) {
  for (const std::string gate : {"cosine:experts", "conv:2 batch_norm relu max_pool dense:6 cosine:experts"}) {
    for (const index_t top_k : {0, 1, 2}) {
      SCOPED_TRACE(gate + " top-" + std::to_string(top_k));
      Setting setting{gate, conv_expert, image, top_k, 0.7};
      setting.z_loss = 0.1;
      expect_equal(setting, 1e-6, 2e-6);
    }
  }
}
TEST(CosineGradient, of_sigmoids_with_noise) {
  Setting setting = clustered(model::Loss::cross_entropy, moe::GateValue::noisy_softmax, 2);
  setting.gate = "dense:7 cosine:experts";
  setting.scores = moe::GateScores::sigmoid;
  expect_equal(setting, 1e-6, 2e-6);
}

TEST(WeightGradient, of_sigmoids_of_all_experts_and_of_a_scale) {
  for (const moe::GateScores scores : {moe::GateScores::softmax, moe::GateScores::sigmoid}) {
    for (const moe::Normalise normalise :
         {moe::Normalise::automatic, moe::Normalise::chosen, moe::Normalise::all}) {
      for (const index_t top_k : {0, 1, 2}) {
        if (top_k == 1 && normalise == moe::Normalise::chosen) continue;  // refused: the weight is 1
        SCOPED_TRACE(std::to_string(static_cast<int>(scores)) + ' ' +
                     std::to_string(static_cast<int>(normalise)) + " top-" + std::to_string(top_k));
        Setting setting = clustered(model::Loss::cross_entropy, moe::GateValue::noisy_softmax, top_k);
        setting.noise = top_k > 0;
        setting.scores = scores;
        setting.normalise = normalise;
        setting.scale = 2.5;
        setting.importance = 0.3;
        setting.gate_entropy = 0.2;
        if (top_k > 0) {
          setting.balance = 0.6;
          setting.load = 0.4;
          setting.normal = true;
          setting.noise_scale = 0.4;
        }
        expect_equal(setting, 1e-6, 2e-6);
      }
    }
  }
}
TEST(WeightGradient, of_a_likelihood_by_sigmoids_of_the_chosen) {
  for (const model::Loss loss : {model::Loss::likelihood, model::Loss::stochastic}) {
    Setting setting{.gate = conv_gate, .expert = conv_expert, .image = image, .top_k = 2, .loss = loss};
    setting.scores = moe::GateScores::sigmoid;
    if (loss == model::Loss::likelihood) setting.expert_temperature = 2.5;
    expect_equal(setting, 1e-6, 2e-6);
  }
}

TEST(ClusteredEvaluation, is_without_noise_unless_it_is_wanted_always) {
  for (const moe::When when : {moe::When::training, moe::When::always}) {
    for (const moe::GateValue value : gate_values) {
      Setting setting = clustered(model::Loss::logistic, value);
      setting.noise_when = when;
      const reference::MixtureCase test = make_reference(setting, nn::Mode::evaluation);
      EXPECT_EQ(test.noise.empty(), when == moe::When::training);
      for (const int ranks : {1, 3}) {
        const Outcome outcome = run_model(setting, ranks, nn::Mode::evaluation);
        EXPECT_NEAR(outcome.loss, reference::mixture_loss(test, outcome.parameters), 1e-6) << ranks << " ranks";
      }
    }
  }
}

// Expert 3's score is a NaN, so that it is never chosen: no weight, loss or gradient of a sample shows it.
TEST(MixtureScores, that_are_no_numbers_are_an_error_on_all_ranks_though_the_loss_is_a_number) {
  const Setting setting{"dense:experts", "dense:5 relu dense:classes", {1, 1, 20}, 2};
  const auto break_score = [](Model& model) {
    for (const nn::NamedArray& array : model.parameters())
      if (array.name == "gate/dense_1/bias") array.data[3] = std::nanf("");
  };
  for (const int ranks : {1, 3}) {
    for (const nn::Mode mode : {nn::Mode::training, nn::Mode::evaluation}) {
      EXPECT_THROW(run_model(setting, ranks, mode, break_score), AgreedError) << ranks << " ranks";
      EXPECT_TRUE(std::isfinite(run_model(setting, ranks, mode).loss));
    }
  }
}

// Bit for bit, and nothing else has one.
TEST(FrozenGradient, of_what_trains_is_that_of_the_whole_model) {
  const std::string gate =
      "conv:2 relu max_pool dense:6 relu dense:experts";  // the norm would use other statistics
  Setting by_score = clustered(model::Loss::logistic, moe::GateValue::noisy_logit);
  by_score.balance = 0.6;
  for (Setting setting :
       {Setting{gate, conv_expert, image, 0, 0.7}, Setting{gate, conv_expert, image, 2, 0.0},
        Setting{gate, conv_expert, image, 0, 0.0, nn::Precision::bf16}, by_score,
        Setting{"conv:2 relu max_pool dense:6 relu attention:experts", conv_expert, image},
        Setting{"conv:2 relu max_pool dense:6 relu attention:experts", conv_expert, image, 0, 0.7}}) {
    const Outcome whole = run_model(setting, 1);
    for (const Frozen frozen : {Frozen{.gate = true}, Frozen{.experts = true}}) {
      setting.frozen = frozen;
      reference::Parameters expected;
      for (const auto& [name, values] : whole.gradient) {
        const bool trains = name.starts_with("gate/") == frozen.experts;
        if (trains) expected[name] = values;
      }
      ASSERT_FALSE(expected.empty());
      for (const int ranks : {1, 2, 3, 7}) {
        SCOPED_TRACE(std::to_string(ranks) + " ranks, frozen " + (frozen.gate ? "gate" : "experts"));
        const Outcome outcome = run_model(setting, ranks);
        EXPECT_EQ(outcome.loss, whole.loss);
        EXPECT_EQ(outcome.gradient, expected);
      }
    }
  }
}

TEST(FrozenGate, normalises_with_its_running_statistics) {
  Setting setting{conv_gate, conv_expert, image, 0, 0.0};
  const auto change = [](Model& model) {
    for (const nn::NamedArray& array : model.state())
      std::fill_n(array.data, tensor::element_count(array.shape), 0.25F);
  };
  const double in_evaluation = run_model(setting, 1, nn::Mode::evaluation, change).loss;
  EXPECT_NE(run_model(setting, 1, nn::Mode::training, change).loss, in_evaluation);
  setting.frozen.gate = true;
  for (const int ranks : {1, 3, 7})
    EXPECT_EQ(run_model(setting, ranks, nn::Mode::training, change).loss, in_evaluation) << ranks << " ranks";
}

TEST(MixtureScore, is_the_error_and_a_best_checkpoint_has_one_below_1) {
  comm::LocalCommunicator communicator;
  comm::HostDataPlane data_plane(communicator);
  device::Context context(1);
  const std::unique_ptr<Model> model = make_model(make_options({conv_gate, conv_expert, image, 0, 0.0}),
                                                  {image, 3}, {communicator, data_plane, context});
  moe::Statistics statistics = model->statistics();
  statistics.samples() = 8;
  statistics.errors() = 2;
  const Score score = model->score(statistics);
  EXPECT_EQ(score.name, "error");
  EXPECT_EQ(score.value, 0.25);
  EXPECT_EQ(model->worst_score().name, score.name);
  EXPECT_EQ(model->worst_score().value, 1.0);
}

TEST(MixtureGradient, has_both_rules_for_the_gate) {
  const moe::LayerOptions options =
      outline(make_options({conv_gate, conv_expert, image, 0, 0.0}), {image, 3}).layers.front();
  EXPECT_EQ(options.gate_options.policy.rule(18, 6), nn::GradientRule::whole_rows);
  EXPECT_EQ(options.gate_options.policy.rule(6, 4), nn::GradientRule::per_tile);
}

}  // namespace
}  // namespace switchyard::model
