// A model of text with two mixture layers against finite differences of its own loss, along random directions.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <numeric>
#include <random>

#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "model/model.hpp"
#include "support/measure.hpp"

namespace switchyard::model {
namespace {

constexpr index_t vocabulary = 11, window = 4, windows = 9;  // four shards of 2, 2, 2 and 3 windows

struct Case {
  const char* name;
  index_t top_k;
  moe::Options moe = {};
  bool one_token = false;    // every token of the batch is the same
  bool idle_expert = false;  // the first expert of every layer gets no row
};

using Arrays = std::map<std::string, std::vector<double>>;

struct Outcome {
  double loss = 0;
  std::vector<std::int64_t> loads;  // of all layers
  Arrays values, gradients;
};

ModelOptions options_of(const Case& of) {
  ModelOptions options;
  options.seed = 5;
  options.networks.family = Family::tokens;
  options.networks.gate = "dense:6 relu dense:experts";
  options.networks.expert = "dense:7 relu dense:width";
  options.networks.tokens = {.width = 6, .blocks = 2};
  options.moe = of.moe;
  options.moe.experts = 5;
  options.moe.top_k = of.top_k;
  options.shards = 4;
  options.batch_size = windows;
  return options;
}

// The loss with values + step * direction, where `direction` names them; and the gradient.
Outcome run(const Case& of, int ranks, const Arrays& direction = {}, double step = 0) {
  Outcome outcome;
  std::mutex mutex;
  comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
    comm::HostDataPlane data_plane(communicator);
    device::Context context(1);
    const Task task{.sample = {1, 1, window}, .classes = vocabulary, .groups = 2, .window = window};
    const std::unique_ptr<Model> model = make_model(options_of(of), task, {communicator, data_plane, context});
    for (const nn::NamedArray& array : model->parameters()) {
      const index_t count = tensor::element_count(array.shape);
      // Larger weights than the first ones: scores that differ, experts that matter.
      for (index_t i = 0; i < count; ++i) {
        if (array.name.find("norm") == array.name.npos) array.data[i] *= 2.0F;
      }
      if (of.idle_expert && array.name.ends_with("gate/dense_2/bias")) array.data[0] = -50.0F;
      if (const auto moved = direction.find(array.name); moved != direction.end()) {
        for (index_t i = 0; i < count; ++i)
          array.data[i] += static_cast<float>(step * moved->second[as_size(i)]);
      }
    }
    model->values_changed();
    nn::BatchTiles tiles;
    tiles.set_sharded(data_plane, windows, 4, window);
    std::vector<std::int32_t> tokens, targets, groups;
    std::vector<index_t> ids;
    for (index_t row = tiles.first_row(); row < tiles.first_row() + tiles.local_rows(); ++row) {
      tokens.push_back(of.one_token ? 3 : static_cast<std::int32_t>(row * row % vocabulary));
      targets.push_back(static_cast<std::int32_t>(row * 7 % vocabulary));
      groups.push_back(static_cast<std::int32_t>(row / window % 2));
      ids.push_back(row);
    }
    const nn::Batch batch{
        .tiles = &tiles, .ids = ids, .step = 3, .labels = targets, .groups = groups, .tokens = tokens};
    PhaseClock clock;
    const nn::Pass pass{context, batch, nn::Mode::training, clock};
    moe::Statistics statistics = model->statistics();
    Vector<double> regularisers;
    measure(*model, pass, statistics, regularisers);
    model->backward(pass);
    model->reduce_gradients(pass);
    statistics.for_each_counts([&](Span<std::int64_t> counts) { communicator.all_reduce_sum(counts); });
    const std::scoped_lock lock(mutex);
    for (const nn::NamedArray& array : model->parameters()) {
      std::vector<double>& values = outcome.values[array.name];
      values.assign(array.data, array.data + tensor::element_count(array.shape));
      outcome.gradients[array.name].resize(values.size());
    }
    for (const nn::ParameterSlice& slice : model->slices()) {
      std::vector<double>& gradient = outcome.gradients[slice.name];
      gradient.resize(as_size(tensor::element_count(slice.shape)));
      for (index_t i = 0; i < slice.count; ++i)
        gradient[as_size(slice.first_element + i)] = static_cast<double>(slice.gradient[i]);
    }
    if (!communicator.is_root()) return;
    outcome.loss = statistics.task_loss() + std::accumulate(regularisers.begin(), regularisers.end(), 0.0);
    for (const moe::Statistics::Layer& layer : statistics.layers) {
      for (index_t e = 0; e < layer.routing.experts(); ++e) outcome.loads.push_back(layer.routing.load(e));
    }
  });
  return outcome;
}

moe::Options with(double moe::RegulariserWeights::*weight, double value) {
  moe::Options options;
  options.*weight = value;
  return options;
}

moe::Options with_noise() {
  moe::Options options;
  options.noise = moe::GateNoise::normal;
  options.noise_scale = 0.5;
  options.load = 0.4;
  return options;
}

// The mean of 36 float32 losses is known to some 1e-7, and so a slope to 1e-4. Where a step takes a value
// across the kink of a ReLU, its slope is a mean of two; the smaller the step, the fewer there are.
// (Not of the similarity regulariser, which takes distances for constants: tests/tokens has it.)
constexpr double step = 5e-4;
constexpr double tolerance = 3e-3;

class TokensGradient : public testing::TestWithParam<Case> {};

TEST_P(TokensGradient, is_that_of_finite_differences_on_one_rank_and_on_three) {
  const Case& of = GetParam();
  const Outcome one = run(of, 1);
  const Outcome three = run(of, 3);
  EXPECT_EQ(one.loss, three.loss);
  EXPECT_EQ(one.gradients, three.gradients);
  if (of.idle_expert) {
    EXPECT_EQ(one.loads[0], 0);
    EXPECT_EQ(one.loads[5], 0);
  }
  std::mt19937 generator(11);
  std::normal_distribution<double> normal;
  for (const auto& [name, values] : one.values) {
    // Half along the gradient, so that there is a slope to see, half any way.
    Arrays direction{{name, one.gradients.at(name)}};
    std::vector<double>& d = direction[name];
    const double norm = std::sqrt(std::inner_product(d.begin(), d.end(), d.begin(), 0.0));
    double length = 0;
    for (double& value : d) {
      value =
          (norm > 0 ? value / norm : 0.0) + 0.3 * normal(generator) / std::sqrt(static_cast<double>(d.size()));
      length += value * value;
    }
    for (double& value : d) value /= std::sqrt(length);
    const Outcome up = run(of, 1, direction, step);
    const Outcome down = run(of, 1, direction, -step);
    ASSERT_EQ(up.loads, down.loads) << name << ": a step changed a choice; take another seed";
    const std::vector<double>& gradient = one.gradients.at(name);
    const double expected = std::inner_product(d.begin(), d.end(), gradient.begin(), 0.0);
    EXPECT_NEAR((up.loss - down.loss) / (2 * step), expected, tolerance * (0.2 + std::abs(expected))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(cases, TokensGradient,
                         testing::Values(Case{"dense", 0}, Case{"top_1", 1}, Case{"top_2", 2},
                                         Case{.name = "one_token", .top_k = 2, .one_token = true},
                                         Case{.name = "idle_expert", .top_k = 2, .idle_expert = true},
                                         Case{"noise", 2, with_noise()},
                                         Case{"importance", 2, with(&moe::RegulariserWeights::importance, 0.7)},
                                         Case{"balance", 2, with(&moe::RegulariserWeights::balance, 0.7)},
                                         Case{"z_loss", 2, with(&moe::RegulariserWeights::z_loss, 0.3)},
                                         Case{"gate_entropy", 0,
                                              with(&moe::RegulariserWeights::gate_entropy, 0.5)}),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace switchyard::model
