// The gradients of regularisers through the whole model, on 1, 2, 3 and 7 ranks, against finite differences.
#include <gmock/gmock.h>

#include <cmath>

#include "numerics/model/mixture_runs.hpp"
#include "support/config_error.hpp"

namespace switchyard::model {
namespace {

TEST(MixtureGradient, of_the_z_loss_and_the_gates_entropy) {
  for (const index_t top_k : {0, 1, 2}) {
    SCOPED_TRACE(top_k);
    Setting setting{conv_gate, conv_expert, image, top_k, 0.3};
    setting.z_loss = 0.4;
    expect_equal(setting, 1e-6, 2e-6);
    setting.gate_entropy = 0.7;
    expect_equal(setting, 1e-6, 2e-6);
    setting.loss = model::Loss::stochastic;
    expect_equal(setting, 1e-6, 2e-6);
  }
}
Setting similar(index_t top_k) { return {conv_gate, conv_expert, image, top_k}; }

TEST(SimilarityGradient, of_scaled_distances_of_the_inputs) {
  for (const index_t top_k : {0, 1, 2}) {
    SCOPED_TRACE(top_k);
    Setting setting = similar(top_k);
    setting.similarity = 3;
    expect_equal(setting, 1e-6, 2e-6);
    setting.importance = 0.7;
    setting.balance = top_k > 0 ? 0.5 : 0.0;
    expect_equal(setting, 1e-6, 2e-6);
  }
}
// Distances of a layer are constants: the gate's earlier layers learn nothing from them.
TEST(SimilarityGradient, of_the_output_of_every_layer_of_the_gate) {
  for (const index_t layer : {1, 2, 3}) {
    SCOPED_TRACE(layer);
    Setting setting = similar(0);
    setting.similarity = 3;
    setting.similarity_layer = layer;
    expect_equal(setting, 2e-6, 3e-6);
  }
}
TEST(SimilarityGradient, of_the_output_of_convolutions_in_the_librarys_order) {
  for (const index_t layer : {1, 2, 3}) {
    SCOPED_TRACE(layer);
    Setting setting{
        "padded_conv:3 batch_norm relu max_pool padded_conv:4 relu max_pool dense:6 relu dense:experts",
        conv_expert, image};
    setting.similarity = 3;
    setting.similarity_layer = layer;
    expect_equal(setting, 2e-6, 4e-6);
  }
}
TEST(SimilarityGradient, of_an_attentive_gate) {
  for (const index_t layer : {0, 2}) {
    SCOPED_TRACE(layer);
    Setting setting{attentive_gate, conv_expert, image};
    setting.similarity = 3;
    setting.similarity_layer = layer;
    expect_equal(setting, 2e-6, 3e-6);
  }
}
TEST(SimilarityGradient, of_the_published_form) {
  Setting setting = similar(0);
  setting.similarity_same = 0.02;
  expect_equal(setting, 2e-6, 2e-6);
  setting.similarity_different = 2;
  expect_equal(setting, 2e-6, 2e-6);
  setting.similarity_same = 0;
  expect_equal(setting, 2e-6, 2e-6);
}
TEST(SimilarityGradient, of_scattered_rows_and_noisy_scores) {
  Setting setting = clustered(model::Loss::logistic, moe::GateValue::noisy_softmax);
  setting.similarity = 3;
  expect_equal(setting, 1e-6, 2e-6);
}

// Probabilities add up to 1: S_different is what S_same leaves of the sum of all distances, so that both forms
// have one gradient up to its length, and values that are a constant apart.
TEST(SimilarityGradient, of_both_forms_is_the_same_for_matching_weights) {
  Setting scaled = similar(0);
  Setting published = similar(0);
  const reference::MixtureCase test = make_reference(scaled);
  double sum = 0;
  for (const reference::Values& row : reference::pairwise_distances(test, {})) {
    for (const double distance : row) sum += distance;
  }
  published.similarity_same = 0.02;
  published.similarity_different = 3;
  const double others = static_cast<double>(experts * (experts - 1) * samples * samples);
  scaled.similarity = sum * (published.similarity_same / experts + published.similarity_different / others);
  for (const int ranks : {1, 3}) {
    const Outcome a = run_model(scaled, ranks);
    const Outcome b = run_model(published, ranks);
    EXPECT_NEAR(a.loss - published.similarity_different * sum / others, b.loss, 2e-6);
    const Outcome without = run_model(similar(0), ranks);
    double largest = 0, change = 0;
    for (const auto& [name, values] : a.gradient) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        largest = std::max(largest, std::abs(values[i]));
        change = std::max(change, std::abs(values[i] - without.gradient.at(name)[i]));
      }
    }
    EXPECT_GT(change, 0.01 * largest) << "the regulariser does nothing here";
    for (const auto& [name, values] : a.gradient) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(values[i], b.gradient.at(name)[i], 1e-6 * largest) << name << "[" << i << "]";
      }
    }
  }
}

Setting loaded(index_t top_k, moe::GateValue value) {
  return {.gate = conv_gate,
          .expert = conv_expert,
          .image = image,
          .top_k = top_k,
          .gate_value = value,
          .noise = true,
          .normal = true,
          .load = 0.8};
}

TEST(LoadGradient, of_normal_noise_with_one_to_all_but_one_choices) {
  for (const moe::GateValue value : {moe::GateValue::softmax, moe::GateValue::noisy_softmax}) {
    for (const index_t top_k : {1, 2, 3}) {
      SCOPED_TRACE(std::to_string(top_k) + ", gate value " + std::to_string(static_cast<int>(value)));
      Setting setting = loaded(top_k, value);
      expect_equal(setting, 1e-6, 3e-6);
      setting.noise_scale = 0.7;
      setting.importance = 0.2;
      expect_equal(setting, 1e-6, 3e-6);
    }
  }
}

TEST(SimilarityAndLoad, are_of_training_only) {
  Setting setting = loaded(2, moe::GateValue::softmax);
  setting.similarity = 3;
  Setting plain = setting;
  plain.load = plain.similarity = 0;
  EXPECT_EQ(run_model(setting, 2, nn::Mode::evaluation).loss, run_model(plain, 2, nn::Mode::evaluation).loss);
  EXPECT_NE(run_model(setting, 2).loss, run_model(plain, 2).loss);
}

TEST(SimilarityLayer, is_one_of_the_gate) {
  Setting setting = similar(0);
  setting.similarity = 1;
  setting.similarity_layer = 4;
  EXPECT_THAT(test::config_error_of([&] {
                (void)outline(make_options(setting), {image, 3});
              }),
              testing::HasSubstr("moe.similarity_layer = 4 (the gate has 3 layers with weights)"));
}

}  // namespace
}  // namespace switchyard::model
