// The model's loss and every parameter's gradient, on 1, 2 and 3 ranks, against finite differences of a naive
// float64 model.
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "base/philox.hpp"
#include "comm/threads/thread_group.hpp"
#include "model/mixture_model.hpp"
#include "support/reference_mixture.hpp"

namespace switchyard::model {
namespace {

struct Setting {
  std::string gate;
  std::string expert;
  tensor::SampleShape image;
  index_t top_k;
  double importance;
  config::Precision precision = config::Precision::float32;
};

constexpr index_t samples = 13;  // four shards of 3, 3, 3 and 4
constexpr index_t classes = 3;
constexpr index_t experts = 4;

config::Config make_config(const Setting& setting) {
  config::Config config;
  config.model = {setting.gate, setting.expert};
  config.moe.experts = experts;
  config.moe.top_k = setting.top_k;
  config.moe.importance = setting.importance;
  config.train.shards = 4;
  config.train.batch_size = samples;
  config.train.precision = setting.precision;
  return config;
}

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

Outcome run_model(const Setting& setting, int ranks) {
  Outcome outcome;
  std::mutex mutex;
  const config::Config config = make_config(setting);
  comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
    device::Context context(1);
    MixtureModel model(config, {setting.image, classes}, communicator);
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
      labels.push_back(static_cast<std::int32_t>(sample % classes));
      ids.push_back(sample);
    }
    const moe::Samples rows{tensor::ConstMatrix(images.data(), tiles.local_rows(), features), ids};
    const Batch batch{&tiles, rows, labels, {}};
    PhaseClock clock;
    moe::GateStatistics statistics(experts, classes);
    model.forward(context, batch, nn::Mode::training, clock, statistics);
    model.backward(context, batch, clock);
    model.reduce_gradients(context, batch, clock);
    collect(model, mutex, outcome);
    if (communicator.is_root()) {
      outcome.loss = statistics.loss_sum / static_cast<double>(samples) + model.regulariser_losses().total();
    }
  });
  return outcome;
}

reference::MixtureCase make_reference(const Setting& setting) {
  const moe::LayerOptions options = layer_options(make_config(setting), {setting.image, classes});
  reference::MixtureCase test{options.gate, options.expert, experts, setting.top_k, setting.importance, {}, {}};
  for (index_t n = 0; n < samples; ++n) {
    reference::Values image;
    for (index_t i = 0; i < setting.image.features(); ++i) image.push_back(static_cast<float>(pixel(n, i)));
    test.images.push_back(std::move(image));
    test.labels.push_back(n % classes);
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
    if (expected.empty()) expected = reference::mixture_gradient(test, outcome.parameters);
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

TEST(MixtureGradient, has_both_rules_for_the_gate) {
  const moe::LayerOptions options =
      layer_options(make_config({conv_gate, conv_expert, image, 0, 0.0}), {image, classes});
  EXPECT_EQ(options.gate_options.policy.rule(18, 6), nn::GradientRule::whole_rows);
  EXPECT_EQ(options.gate_options.policy.rule(6, 4), nn::GradientRule::per_tile);
}

}  // namespace
}  // namespace switchyard::model
