// The model's loss and every parameter's gradient, on 1, 2, 3 and 7 ranks, against finite differences of a
// naive float64 model.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <mutex>

#include "base/error.hpp"
#include "base/philox.hpp"
#include "comm/threads/thread_group.hpp"
#include "model/mixture_model.hpp"
#include "support/config_error.hpp"
#include "support/reference_mixture.hpp"

namespace switchyard::model {
namespace {

struct Setting {
  std::string gate;
  std::string expert;
  tensor::SampleShape image;
  index_t top_k = 0;
  double importance = 0;
  config::Precision precision = config::Precision::float32;
  config::Loss loss = config::Loss::likelihood;
  config::GateValue gate_value = config::GateValue::softmax;
  bool noise = false;
  double balance = 0;
  double z_loss = 0;
  double gate_entropy = 0;
  config::NoiseDraw noise_draw = config::NoiseDraw::every_step;
  config::NoiseWhen noise_when = config::NoiseWhen::training;
  bool normal = false;  // the noise
  double noise_scale = 0;
  double load = 0;
  double similarity = 0;
  double similarity_same = 0;
  double similarity_different = 0;
  index_t similarity_layer = 0;

  index_t classes() const { return loss == config::Loss::logistic ? 2 : 3; }
};

constexpr index_t samples = 13;  // four shards of 3, 3, 3 and 4
constexpr index_t experts = 4;
constexpr std::uint32_t step = 3;    // of the noise
constexpr std::uint32_t stream = 2;  // of the noise in evaluation

config::Config make_config(const Setting& setting) {
  config::Config config;
  config.model.gate = setting.gate;
  config.model.expert = setting.expert;
  config.model.loss = setting.loss;
  config.moe.experts = experts;
  config.moe.top_k = setting.top_k;
  config.moe.importance = setting.importance;
  config.moe.balance = setting.balance;
  config.moe.z_loss = setting.z_loss;
  config.moe.gate_entropy = setting.gate_entropy;
  config.moe.gate_value = setting.gate_value;
  if (setting.noise) config.moe.noise = setting.normal ? config::GateNoise::normal : config::GateNoise::uniform;
  config.moe.noise_scale = setting.noise_scale;
  config.moe.load = setting.load;
  config.moe.similarity = setting.similarity;
  config.moe.similarity_same = setting.similarity_same;
  config.moe.similarity_different = setting.similarity_different;
  config.moe.similarity_layer = setting.similarity_layer;
  config.moe.noise_draw = setting.noise_draw;
  config.moe.noise_when = setting.noise_when;
  config.train.shards = 4;
  config.train.batch_size = samples;
  config.train.precision = setting.precision;
  return config;
}

// Ids are not places: a sample's noise must follow its id.
index_t id_of(index_t sample) { return 100 + 7 * sample; }

double pixel(index_t n, index_t i) {
  return 2.0 * Philox::at(7, RandomUse::test, static_cast<std::uint64_t>(n * 1000 + i)).uniform(0) - 1.0;
}

struct Outcome {
  double loss = 0;
  reference::Parameters parameters;
  reference::Parameters gradient;
};

// Values and gradients of what this rank updates, put together over ranks under `mutex`.
void collect(MixtureModel& model, std::mutex& mutex, Outcome& outcome) {
  const std::lock_guard lock(mutex);
  for (const nn::ParameterSlice& slice : model.slices()) {
    const index_t width = slice.count / std::max<index_t>(slice.rows.size(), 1);
    for (auto* target : {&outcome.parameters, &outcome.gradient}) {
      auto& values = (*target)[slice.name];
      values.resize(static_cast<std::size_t>(tensor::element_count(slice.shape)));
      const float* const from = target == &outcome.parameters ? slice.value : slice.gradient;
      std::copy_n(from, slice.count, values.begin() + slice.rows.begin * width);
    }
  }
}

// In evaluation there is a loss and no gradient. `change` sees the model before its first batch.
Outcome run_model(const Setting& setting, int ranks, nn::Mode mode = nn::Mode::training,
                  const std::function<void(MixtureModel&)>& change = {}) {
  Outcome outcome;
  std::mutex mutex;
  const config::Config config = make_config(setting);
  comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
    device::Context context(1);
    MixtureModel model(config, {setting.image, setting.classes()}, communicator);
    if (change) change(model);
    model.values_changed(context);
    nn::BatchTiles tiles;
    tiles.set_sharded(communicator, samples, config.train.shards);
    const index_t features = setting.image.features();
    device::Buffer<float> images(std::max<index_t>(tiles.local_rows() * features, 1));
    std::vector<std::int32_t> labels;
    std::vector<index_t> ids;
    for (index_t n = 0; n < tiles.local_rows(); ++n) {
      const index_t sample = tiles.first_row() + n;
      for (index_t i = 0; i < features; ++i) images[n * features + i] = static_cast<float>(pixel(sample, i));
      labels.push_back(static_cast<std::int32_t>(sample % setting.classes()));
      ids.push_back(id_of(sample));
    }
    const bool training = mode == nn::Mode::training;
    const moe::Samples rows{tensor::ConstMatrix(images.data(), tiles.local_rows(), features), ids,
                            training ? step : 0, training ? 0 : stream};
    const Batch batch{&tiles, rows, labels, {}};
    PhaseClock clock;
    moe::GateStatistics statistics = model.statistics();
    model.forward(context, batch, mode, clock, statistics);
    if (training) {
      model.backward(context, batch, clock);
      model.reduce_gradients(context, batch, clock);
    }
    collect(model, mutex, outcome);
    if (communicator.is_root()) {
      outcome.loss = statistics.loss_sum / static_cast<double>(samples) + model.regulariser_losses().total();
    }
  });
  return outcome;
}

// [sample][expert], as the op gives it (conformance/ops/noise_test.cpp) on logits of zero.
std::vector<reference::Values> noise_of(std::uint64_t seed, std::uint32_t noise_step, std::uint32_t of_stream,
                                        ops::Noise kind) {
  std::vector<reference::Values> noise;
  device::Context context(1);
  const std::vector<float> zeros(experts);
  for (index_t n = 0; n < samples; ++n) {
    const index_t id = id_of(n);
    std::vector<float> row(experts);
    ops::add_noise(context, {zeros.data(), 1, experts}, {&id, 1}, {seed, noise_step, of_stream}, kind,
                   {row.data(), 1, experts});
    noise.emplace_back(row.begin(), row.end());
  }
  return noise;
}

double noise_scale_of(const Setting& setting) {
  if (setting.noise_scale > 0) return setting.noise_scale;
  return setting.normal ? 1.0 / static_cast<double>(experts) : 1.0;
}

reference::MixtureCase make_reference(const Setting& setting, nn::Mode mode = nn::Mode::training) {
  const config::Config config = make_config(setting);
  const moe::LayerOptions options = layer_options(config, {setting.image, setting.classes()});
  reference::MixtureCase test{.gate = options.gate,
                              .expert = options.expert,
                              .experts = experts,
                              .top_k = setting.top_k,
                              .importance = setting.importance,
                              .balance = setting.balance,
                              .z_loss = setting.z_loss,
                              .gate_entropy = setting.gate_entropy,
                              .load = setting.load,
                              .noise_scale = noise_scale_of(setting),
                              .similarity = setting.similarity,
                              .similarity_same = setting.similarity_same,
                              .similarity_different = setting.similarity_different,
                              .similarity_layer = setting.similarity_layer,
                              .loss = setting.loss,
                              .gate_value = setting.gate_value,
                              .noise = {},
                              .images = {},
                              .labels = {}};
  const bool training = mode == nn::Mode::training;
  if (setting.noise && (training || setting.noise_when == config::NoiseWhen::always)) {
    const bool once = setting.noise_draw == config::NoiseDraw::once;
    test.noise = noise_of(config.run.seed, once || !training ? 0 : step, training ? 0 : stream,
                          {setting.normal ? ops::NoiseSpread::normal : ops::NoiseSpread::uniform,
                           static_cast<float>(noise_scale_of(setting))});
  }
  for (index_t n = 0; n < samples; ++n) {
    reference::Values image;
    for (index_t i = 0; i < setting.image.features(); ++i) image.push_back(static_cast<float>(pixel(n, i)));
    test.images.push_back(std::move(image));
    test.labels.push_back(n % setting.classes());
  }
  return test;
}

// tolerance: relative to the largest gradient of all. float32 keeps 6e-8 a rounding and sums a few hundred
// terms; finite differences of a float64 loss with step 1e-6 are good to 1e-9.
void expect_equal(const Setting& setting, double loss_tolerance, double gradient_tolerance) {
  const reference::MixtureCase test = make_reference(setting);
  reference::Parameters expected;
  for (const int ranks : {1, 2, 3, 7}) {
    const Outcome outcome = run_model(setting, ranks);
    EXPECT_NEAR(outcome.loss, reference::mixture_loss(test, outcome.parameters), loss_tolerance)
        << ranks << " ranks";
    if (expected.empty()) {
      // No step of 1e-6 in a weight may change a choice.
      ASSERT_GT(reference::routing_margin(test, outcome.parameters), 1e-4);
      expected = reference::mixture_gradient(test, outcome.parameters);
    }
    ASSERT_EQ(outcome.gradient.size(), expected.size());
    double largest = 0;
    for (const auto& [name, values] : expected)
      for (const double value : values) largest = std::max(largest, std::abs(value));
    for (const auto& [name, values] : expected) {
      const auto& found = outcome.gradient.at(name);
      ASSERT_EQ(found.size(), values.size()) << name;
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(found[i], values[i], gradient_tolerance * largest)
            << name << "[" << i << "] on " << ranks << " ranks";
      }
    }
  }
}

const std::string conv_gate = "conv:2 batch_norm relu max_pool dense:6 relu dense:experts";
const std::string conv_expert = "conv:1 relu max_pool dense:4 relu dense:classes";
constexpr tensor::SampleShape image{1, 8, 8};

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
// bf16 keeps 8 bits: operands are off by up to 2^-9, and so are products; sums of few terms average little of
// it out.
TEST(MixtureGradient, in_bf16_is_that_of_float32_but_for_rounded_operands) {
  expect_equal({conv_gate, conv_expert, image, 0, 0.3, config::Precision::bf16}, 1e-2, 5e-2);
}

// Samples of 4 patches of 5 numbers.
constexpr tensor::SampleShape patches{1, 4, 5};
const std::string patch_gate = "patch_filters:1 sum:experts";
const std::string patch_expert = "patch_filters:6 cubic sum:classes";

// Every part of the settings that a test does not name is that of the published experiments.
Setting clustered(config::Loss loss, config::GateValue value, index_t top_k = 1) {
  return {.gate = patch_gate,
          .expert = patch_expert,
          .image = patches,
          .top_k = top_k,
          .loss = loss,
          .gate_value = value,
          .noise = true};
}

constexpr config::Loss losses[] = {config::Loss::likelihood, config::Loss::stochastic,
                                   config::Loss::cross_entropy, config::Loss::logistic,
                                   config::Loss::double_softmax};
constexpr config::GateValue gate_values[] = {config::GateValue::softmax, config::GateValue::noisy_softmax,
                                             config::GateValue::noisy_logit};

template <class F>
void for_losses_and_gate_values(const F& f) {
  for (const config::Loss loss : losses) {
    for (const config::GateValue value : gate_values) {
      const bool likelihood = loss == config::Loss::likelihood || loss == config::Loss::stochastic;
      if (likelihood && value == config::GateValue::noisy_logit) continue;  // refused
      SCOPED_TRACE("loss " + std::to_string(static_cast<int>(loss)) + ", gate value " +
                   std::to_string(static_cast<int>(value)));
      f(loss, value);
    }
  }
}

TEST(ClusteredGradient, of_every_loss_and_gate_value_with_the_first_choice) {
  for_losses_and_gate_values(
      [](config::Loss loss, config::GateValue value) { expect_equal(clustered(loss, value), 1e-6, 2e-6); });
}
TEST(ClusteredGradient, of_every_loss_and_gate_value_with_two_choices_and_both_regularisers) {
  for_losses_and_gate_values([](config::Loss loss, config::GateValue value) {
    Setting setting = clustered(loss, value, 2);
    setting.importance = 0.3;
    setting.balance = 0.6;
    expect_equal(setting, 1e-6, 2e-6);
  });
}
TEST(ClusteredGradient, of_every_loss_without_noise_over_all_experts) {
  for (const config::Loss loss : losses) {
    SCOPED_TRACE(static_cast<int>(loss));
    Setting setting = clustered(loss, config::GateValue::softmax, 0);
    setting.noise = false;
    setting.balance = 0.6;
    expect_equal(setting, 1e-6, 2e-6);
  }
}
TEST(MixtureGradient, of_the_z_loss_and_the_gates_entropy) {
  for (const index_t top_k : {0, 1, 2}) {
    SCOPED_TRACE(top_k);
    Setting setting{conv_gate, conv_expert, image, top_k, 0.3};
    setting.z_loss = 0.4;
    expect_equal(setting, 1e-6, 2e-6);
    setting.gate_entropy = 0.7;
    expect_equal(setting, 1e-6, 2e-6);
    setting.loss = config::Loss::stochastic;
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
  Setting setting = clustered(config::Loss::logistic, config::GateValue::noisy_softmax);
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

Setting loaded(index_t top_k, config::GateValue value) {
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
  for (const config::GateValue value : {config::GateValue::softmax, config::GateValue::noisy_softmax}) {
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
  Setting setting = loaded(2, config::GateValue::softmax);
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
                (void)layer_options(make_config(setting), {image, 3});
              }),
              testing::HasSubstr("moe.similarity_layer = 4 (model.gate has 3 layers with weights)"));
}

TEST(ClusteredGradient, of_the_balance_loss_with_the_first_choice) {
  for (const config::GateValue value : gate_values) {
    SCOPED_TRACE(static_cast<int>(value));
    Setting setting = clustered(config::Loss::logistic, value);
    setting.balance = 1.5;
    expect_equal(setting, 1e-6, 2e-6);
  }
}
TEST(ClusteredGradient, of_every_activation_with_and_without_bias) {
  for (const std::string activation : {"", "relu ", "cubic ", "celu ", "gelu ", "tanh "}) {
    for (const std::string bias : {"", "bias "}) {
      SCOPED_TRACE(bias + activation);
      Setting setting = clustered(config::Loss::cross_entropy, config::GateValue::noisy_softmax);
      setting.gate = "patch_filters:2 " + bias + activation + "sum:experts";
      setting.expert = "patch_filters:3 " + bias + activation + "sum:classes";
      expect_equal(setting, 1e-6, 3e-6);
    }
  }
}
TEST(ClusteredGradient, of_dense_experts_behind_a_gate_of_filters) {
  Setting setting = clustered(config::Loss::double_softmax, config::GateValue::noisy_logit, 2);
  setting.expert = "dense:7 relu dense:classes";
  setting.balance = 0.2;
  expect_equal(setting, 1e-6, 2e-6);
}
TEST(ClusteredGradient, of_filters_behind_a_dense_gate) {
  Setting setting = clustered(config::Loss::logistic, config::GateValue::noisy_softmax);
  setting.gate = "dense:24 relu dense:experts";
  expect_equal(setting, 1e-6, 2e-6);
}
TEST(ClusteredGradient, of_noise_that_is_drawn_once) {
  Setting setting = clustered(config::Loss::logistic, config::GateValue::noisy_logit);
  setting.noise_draw = config::NoiseDraw::once;
  expect_equal(setting, 1e-6, 2e-6);
}

// The noise moves samples between experts here: without it, or with another, the numbers above would differ.
TEST(ClusteredGradient, has_noise_that_matters) {
  const Setting setting = clustered(config::Loss::logistic, config::GateValue::noisy_softmax);
  const reference::Parameters parameters = run_model(setting, 1).parameters;
  reference::MixtureCase test = make_reference(setting);
  const std::vector<std::int64_t> with_noise = reference::mixture_loads(test, parameters);
  for (const std::int64_t load : with_noise) EXPECT_GT(load, 0) << "an expert's gradient is not looked at";
  test.noise.clear();
  EXPECT_NE(reference::mixture_loads(test, parameters), with_noise);
}

TEST(ClusteredEvaluation, is_without_noise_unless_it_is_wanted_always) {
  for (const config::NoiseWhen when : {config::NoiseWhen::training, config::NoiseWhen::always}) {
    for (const config::GateValue value : gate_values) {
      Setting setting = clustered(config::Loss::logistic, value);
      setting.noise_when = when;
      const reference::MixtureCase test = make_reference(setting, nn::Mode::evaluation);
      EXPECT_EQ(test.noise.empty(), when == config::NoiseWhen::training);
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
  const auto break_score = [](MixtureModel& model) {
    model.layer().gate().network().layer(0).parameters()[1].value.data()[3] = std::nanf("");
  };
  for (const int ranks : {1, 3}) {
    for (const nn::Mode mode : {nn::Mode::training, nn::Mode::evaluation}) {
      EXPECT_THROW(run_model(setting, ranks, mode, break_score), AgreedError) << ranks << " ranks";
      EXPECT_TRUE(std::isfinite(run_model(setting, ranks, mode).loss));
    }
  }
}

TEST(MixtureGradient, has_both_rules_for_the_gate) {
  const moe::LayerOptions options =
      layer_options(make_config({conv_gate, conv_expert, image, 0, 0.0}), {image, 3});
  EXPECT_EQ(options.gate_options.policy.rule(18, 6), nn::GradientRule::whole_rows);
  EXPECT_EQ(options.gate_options.policy.rule(6, 4), nn::GradientRule::per_tile);
}

}  // namespace
}  // namespace switchyard::model
