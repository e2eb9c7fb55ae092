#include "numerics/model/mixture_runs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <numeric>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "support/measure.hpp"

namespace switchyard::model {
namespace {

// Ids are not places: a sample's noise must follow its id.
index_t id_of(index_t sample) { return 100 + 7 * sample; }

double pixel(index_t n, index_t i) {
  return 2.0 * Philox::at(7, RandomUse::test, static_cast<std::uint64_t>(n * 1000 + i)).uniform(0) - 1.0;
}

// Values and gradients of what this rank updates, put together over ranks under `mutex`.
void collect(Model& model, std::mutex& mutex, Outcome& outcome) {
  const std::lock_guard lock(mutex);
  for (const nn::ParameterSlice& slice : model.slices()) {
    for (auto* target : {&outcome.parameters, &outcome.gradient}) {
      auto& values = (*target)[slice.name];
      values.resize(static_cast<std::size_t>(tensor::element_count(slice.shape)));
      const float* const from = target == &outcome.parameters ? slice.value : slice.gradient;
      std::copy_n(from, slice.count, values.begin() + slice.first_element);
    }
  }
}

// [sample][expert], as the op gives it (conformance/ops/noise_test.cpp) on logits of zero.
std::vector<reference::Values> noise_of(const ops::Noise& kind) {
  std::vector<reference::Values> noise;
  device::Context context(1);
  const std::vector<float> zeros(experts);
  for (index_t n = 0; n < samples; ++n) {
    const index_t id = id_of(n);
    std::vector<float> row(experts);
    ops::add_noise(context, {zeros.data(), 1, experts}, {&id, 1}, kind, {row.data(), 1, experts});
    noise.emplace_back(row.begin(), row.end());
  }
  return noise;
}

double noise_scale_of(const Setting& setting) {
  if (setting.noise_scale > 0) return setting.noise_scale;
  return setting.normal ? 1.0 / static_cast<double>(experts) : 1.0;
}

reference::GateKind kind_of(const std::string& gate) {
  using enum reference::GateKind;
  if (gate == "none") return none;
  if (gate.ends_with("attention:experts")) return attention;
  if (gate == "most_certain:experts") return most_certain;
  return gate == "by_label:experts" ? by_label : network;
}

// Of one digit each: "0 2|1".
std::vector<std::int64_t> expert_of_label(const Setting& setting) {
  std::vector<std::int64_t> expert_of(static_cast<std::size_t>(setting.classes()));
  std::int64_t expert = 0;
  for (const char c : setting.partition) {
    if (c == '|') ++expert;
    if (c >= '0' && c <= '9') expert_of[static_cast<std::size_t>(c - '0')] = expert;
  }
  return expert_of;
}

}  // namespace

Setting clustered(model::Loss loss, moe::GateValue value, index_t top_k) {
  return {.gate = patch_gate,
          .expert = patch_expert,
          .image = patches,
          .top_k = top_k,
          .loss = loss,
          .gate_value = value,
          .noise = true};
}

ModelOptions make_options(const Setting& setting) {
  ModelOptions mixture;
  mixture.seed = 1;
  mixture.networks.gate = setting.gate;
  mixture.networks.expert = setting.expert;
  mixture.networks.loss = setting.loss;
  mixture.moe.experts = setting.expert_count();
  mixture.moe.expert_temperature = setting.expert_temperature;
  mixture.moe.partition = setting.partition;
  mixture.moe.top_k = setting.top_k;
  mixture.moe.importance = setting.importance;
  mixture.moe.balance = setting.balance;
  mixture.moe.z_loss = setting.z_loss;
  mixture.moe.gate_entropy = setting.gate_entropy;
  mixture.moe.gate_value = setting.gate_value;
  mixture.moe.scores = setting.scores;
  mixture.moe.normalise = setting.normalise;
  mixture.moe.scale = setting.scale;
  if (setting.noise) mixture.moe.noise = setting.normal ? moe::GateNoise::normal : moe::GateNoise::uniform;
  mixture.moe.noise_scale = setting.noise_scale;
  mixture.moe.load = setting.load;
  mixture.moe.similarity = setting.similarity;
  mixture.moe.similarity_same = setting.similarity_same;
  mixture.moe.similarity_different = setting.similarity_different;
  mixture.moe.similarity_layer = setting.similarity_layer;
  mixture.moe.noise_draw = setting.noise_draw;
  mixture.moe.noise_when = setting.noise_when;
  mixture.shards = 4;
  mixture.batch_size = samples;
  mixture.precision = setting.precision;
  mixture.frozen = setting.frozen;
  return mixture;
}

Outcome run_model(const Setting& setting, int ranks, nn::Mode mode, const std::function<void(Model&)>& change) {
  Outcome outcome;
  std::mutex mutex;
  const ModelOptions mixture = make_options(setting);
  comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
    comm::HostDataPlane data_plane(communicator);
    device::Context context(1);
    const std::unique_ptr<Model> model =
        make_model(mixture, {setting.image, setting.classes()}, {communicator, data_plane, context});
    if (change) change(*model);
    model->values_changed();
    nn::BatchTiles tiles;
    tiles.set_sharded(data_plane, samples, mixture.shards);
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
    const nn::Batch batch{.tiles = &tiles,
                          .rows = tensor::ConstMatrix(images.data(), tiles.local_rows(), features),
                          .ids = ids,
                          .step = training ? step : 0,
                          .stream = training ? 0 : stream,
                          .labels = labels};
    PhaseClock clock;
    const nn::Pass pass{context, batch, mode, clock};
    moe::Statistics statistics = model->statistics();
    Vector<double> regularisers;
    measure(*model, pass, statistics, regularisers);
    if (training) {
      model->backward(pass);
      model->reduce_gradients(pass);
    }
    collect(*model, mutex, outcome);
    if (communicator.is_root()) {
      outcome.loss = statistics.task_loss_sum / static_cast<double>(samples) +
                     std::accumulate(regularisers.begin(), regularisers.end(), 0.0);
    }
  });
  return outcome;
}

reference::MixtureCase make_reference(const Setting& setting, nn::Mode mode) {
  const ModelOptions mixture = make_options(setting);
  const moe::LayerOptions options = outline(mixture, {setting.image, setting.classes()}).layers.front();
  reference::MixtureCase test{.kind = kind_of(setting.gate),
                              .expert_of_label = expert_of_label(setting),
                              .expert_temperature = setting.expert_temperature,
                              .gate = options.gate,
                              .expert = options.expert,
                              .experts = setting.expert_count(),
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
                              .scores = setting.scores,
                              .normalise = setting.normalise,
                              .scale = setting.scale,
                              .noise = {},
                              .images = {},
                              .labels = {}};
  const bool training = mode == nn::Mode::training;
  if (setting.noise && (training || setting.noise_when == moe::When::always)) {
    const bool once = setting.noise_draw == moe::NoiseDraw::once;
    test.noise = noise_of({setting.normal ? ops::NoiseSpread::normal : ops::NoiseSpread::uniform,
                           static_cast<float>(noise_scale_of(setting)),
                           {mixture.seed, once || !training ? 0 : step, training ? 0 : stream}});
  }
  for (index_t n = 0; n < samples; ++n) {
    reference::Values pixels;
    for (index_t i = 0; i < setting.image.features(); ++i) pixels.push_back(static_cast<float>(pixel(n, i)));
    test.images.push_back(std::move(pixels));
    test.labels.push_back(n % setting.classes());
  }
  return test;
}

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

}  // namespace switchyard::model
