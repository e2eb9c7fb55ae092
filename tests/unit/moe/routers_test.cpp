// Each kind of router on a few samples, against plain float64.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "device/context.hpp"
#include "moe/router.hpp"
#include "moe/routing_statistics.hpp"
#include "support/config_error.hpp"
#include "support/row_places.hpp"

namespace switchyard::moe {
namespace {

using test::config_error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using Values = std::vector<double>;

constexpr index_t samples = 6, features = 5, experts = 4, classes = 3, hidden = 7;

double draw(index_t which, index_t i) {
  return 2.0 * Philox::at(11, RandomUse::test, static_cast<std::uint64_t>(which * 1000 + i)).uniform(0) - 1.0;
}

// A router of model.gate = `gate` over one rank's samples, of which sample n has label n mod 3.
// The defaults, but for what `set` changes.
Options options(const auto& set) {
  Options options;
  set(options);
  return options;
}

struct Routed {
  explicit Routed(const std::string& gate, Options moe = {}, bool frozen = false) {
    moe.experts = moe.experts == 5 ? experts : moe.experts;
    const GateSpec spec = parse_gate(gate);
    const auto expert = nn::NetworkShape::resolve("expert", parse_expert("dense:7 relu dense:classes"),
                                                  {1, 1, features}, classes);
    nn::NetworkShape shape;
    if (spec.kind.resolve != nullptr)
      shape = spec.kind.resolve(
          {moe, spec.layers, {1, 1, features}, classes, expert, "dense:7 relu dense:classes"});
    const RouterOptions options{moe, spec.kind, classes};
    nn::NetworkOptions network;
    network.frozen = frozen;
    router = Router::make({options, shape, network, data_plane, 3});
    tiles.set_local(std::vector{samples}, std::vector{samples}, 2);
    for (index_t i = 0; i < samples * features; ++i) rows.push_back(static_cast<float>(draw(0, i)));
    for (index_t n = 0; n < samples; ++n) {
      labels.push_back(static_cast<std::int32_t>(n % classes));
      ids.push_back(n);
    }
    batch.rows = tensor::ConstMatrix(rows.data(), samples, features);
    batch.labels = labels;
    batch.ids = ids;
  }
  nn::Pass pass(nn::Mode mode = nn::Mode::training) { return {context, batch, mode, clock}; }

  // What the experts return of each slot, of that many columns.
  void return_rows(LayerOutput& output, std::size_t part, index_t columns, double scale) {
    for (index_t i = 0; i < samples * experts * columns; ++i)
      returned.push_back(static_cast<float>(scale * draw(1, i)));
    for (index_t s = 0; s < samples * experts; ++s) slots.push_back(returned.data() + s * columns);
    output.returned[part] = slots.view(columns);
  }

  // The gate's parameters: of matrices [in, out].
  Values parameters(index_t layer, std::size_t which) {
    const auto values = router->network()->layers().layer(layer).parameters()[which].span(0);
    return {values.begin(), values.end()};
  }

  device::Context context{1};
  comm::LocalCommunicator communicator;
  comm::HostDataPlane data_plane{communicator};
  nn::BatchTiles tiles;
  nn::Batch batch{.tiles = &tiles};
  PhaseClock clock;
  std::vector<float> rows, returned;
  test::RowPlaces<const float> slots;
  std::vector<std::int32_t> labels;
  std::vector<index_t> ids;
  std::unique_ptr<Router> router;
};

Values softmax(const Values& z) {
  double sum = 0;
  for (const double value : z) sum += std::exp(value);
  Values p;
  for (const double value : z) p.push_back(std::exp(value) / sum);
  return p;
}

Values times(const Values& x, const Values& matrix, index_t out) {
  Values y(static_cast<std::size_t>(out));
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t o = 0; o < y.size(); ++o) y[o] += x[i] * matrix[i * y.size() + o];
  return y;
}

Values sample(const Routed& test, index_t n) {
  return {test.rows.begin() + n * features, test.rows.begin() + (n + 1) * features};
}

// Of a gate of one dense layer.
Values scores(Routed& test, index_t n) {
  Values z = times(sample(test, n), test.parameters(0, 0), experts);
  const Values bias = test.parameters(0, 1);
  for (std::size_t e = 0; e < z.size(); ++e) z[e] += bias[e];
  return z;
}

std::vector<std::size_t> falling(const Values& z) {
  std::vector<std::size_t> order = {0, 1, 2, 3};
  std::ranges::sort(order, [&](auto a, auto b) { return z[a] > z[b]; });
  return order;
}

TEST(ScoreRouter, chooses_the_largest_scores_and_weighs_by_their_softmax) {
  for (const std::int64_t top_k : {0, 1, 2, 4}) {
    Routed test("dense:experts", options([&](Options& o) { o.top_k = top_k; }));
    const Routing routing = test.router->route(test.pass());
    EXPECT_EQ(routing.slots, top_k == 0 ? experts : top_k);
    for (index_t n = 0; n < samples; ++n) {
      const Values z = scores(test, n);
      const auto order = falling(z);
      Values chosen;
      for (index_t i = 0; i < routing.slots; ++i) {
        const auto expert = static_cast<std::size_t>(routing.experts[n * routing.slots + i]);
        EXPECT_EQ(expert, top_k == 0 ? static_cast<std::size_t>(i) : order[static_cast<std::size_t>(i)]);
        chosen.push_back(z[expert]);
      }
      const Values w = top_k == 1 ? Values{softmax(z)[order[0]]} : softmax(chosen);
      for (index_t i = 0; i < routing.slots; ++i) {
        EXPECT_NEAR(routing.weights(n, i), w[static_cast<std::size_t>(i)], 1e-6);
        EXPECT_NEAR(routing.log_weights(n, i), std::log(w[static_cast<std::size_t>(i)]), 2e-6);
        EXPECT_EQ(routing.factors(n, i), routing.weights(n, i));
      }
    }
  }
}

// The bias is of the choice alone, and moves against the load.
TEST(ScoreRouter, chooses_with_a_bias_that_balances_loads) {
  for (const GateScores of : {GateScores::softmax, GateScores::sigmoid}) {
    for (const std::int64_t top_k : {1, 2}) {
      Routed test("dense:experts", options([&](Options& o) {
                    o.top_k = top_k;
                    o.scores = of;
                    o.bias_rate = 0.25;
                  }));
      device::Context context(1);
      const std::vector<std::int64_t> loads = {9, 3, 4, 4};
      for (int step = 0; step < 3; ++step) test.router->after_update(context, loads);
      const auto state = test.router->state();
      ASSERT_EQ(state.size(), 1);
      EXPECT_EQ(state[0].name, "gate/choice/bias");
      EXPECT_TRUE(state[0].shared);
      EXPECT_THAT(std::vector<float>(state[0].data, state[0].data + experts),
                  ElementsAre(-1.125F, 0.375F, 0.375F, 0.375F));
      const Routing routing = test.router->route(test.pass(nn::Mode::evaluation));
      for (index_t n = 0; n < samples; ++n) {
        const Values z = scores(test, n);
        Values share = softmax(z);
        if (of == GateScores::sigmoid)
          for (std::size_t e = 0; e < z.size(); ++e) share[e] = 1 / (1 + std::exp(-z[e]));
        Values biased = share;
        for (index_t e = 0; e < experts; ++e) biased[static_cast<std::size_t>(e)] += state[0].data[e];
        double sum = 0;
        for (index_t i = 0; i < top_k; ++i) {
          const auto expert = falling(biased)[static_cast<std::size_t>(i)];
          EXPECT_EQ(routing.experts[n * top_k + i], static_cast<std::int32_t>(expert));
          sum += share[expert];
        }
        for (index_t i = 0; i < top_k; ++i) {
          const double chosen = share[falling(biased)[static_cast<std::size_t>(i)]];
          EXPECT_NEAR(routing.weights(n, i), top_k == 1 ? chosen : chosen / sum, 1e-6);
        }
      }
    }
  }
}

TEST(ScoreRouter, has_a_bias_where_it_is_asked_for_and_moves_it_where_it_learns) {
  EXPECT_TRUE(Routed("dense:experts").router->state().empty());
  Routed frozen("dense:experts", options([](Options& o) {
                  o.top_k = 1;
                  o.bias_rate = 0.25;
                }),
                true);
  device::Context context(1);
  frozen.router->after_update(context, std::vector<std::int64_t>{4, 0, 0, 0});
  EXPECT_EQ(frozen.router->state()[0].data[0], 0);
}

TEST(ScoreRouter, adds_noise_where_it_is_asked_to) {
  Options moe = options([](Options& o) {
    o.top_k = 2;
    o.gate_value = GateValue::noisy_logit;
    o.noise = GateNoise::normal;
  });
  Routed test("dense:experts", moe);
  Routing routing = test.router->route(test.pass(nn::Mode::evaluation));
  EXPECT_EQ(routing.noisy.data, routing.clean.data);
  routing = test.router->route(test.pass());
  EXPECT_EQ(routing.scores.data, routing.clean.data);
  EXPECT_EQ(routing.noise_deviation, 0.25F) << "one by the number of experts";
  EXPECT_EQ(routing.expected_load().deviation, 0.25F);
  for (index_t n = 0; n < samples; ++n) {
    const Values noisy(routing.noisy.row(n), routing.noisy.row(n) + experts);
    for (index_t i = 0; i < 2; ++i) {
      const auto best = falling(noisy)[static_cast<std::size_t>(i)];
      EXPECT_EQ(routing.experts[2 * n + i], static_cast<std::int32_t>(best));
      EXPECT_EQ(routing.factors(n, i), routing.noisy(n, static_cast<index_t>(best)));
    }
  }
  EXPECT_NE(routing.noisy(0, 0), routing.clean(0, 0));
  moe.noise_when = When::always;
  moe.gate_value = GateValue::noisy_softmax;
  Routed always("dense:experts", moe);
  routing = always.router->route(always.pass(nn::Mode::evaluation));
  EXPECT_NE(routing.noisy.data, routing.clean.data);
  EXPECT_EQ(routing.scores.data, routing.noisy.data);
}

// With L = sum of c_i log w_i: the gradient of the bias is that of the scores, summed over samples.
TEST(ScoreRouter, sums_gradients_over_the_batch) {
  Routed test("dense:experts");
  const nn::Pass pass = test.pass();
  LayerOutput output{test.router->route(pass), {}};
  std::vector<float> c;
  for (index_t i = 0; i < samples * experts; ++i) c.push_back(static_cast<float>(draw(2, i)));
  const SlotGradients gradients{{}, tensor::Matrix(c.data(), samples, experts)};
  test.router->backward_scores(pass, output, gradients, {.z_loss = 0.5});
  test.router->network()->backward(pass);
  test.router->network()->reduce_gradients(pass);
  Values expected(experts);
  for (index_t n = 0; n < samples; ++n) {
    const Values z = scores(test, n);
    const Values w = softmax(z);
    double sum = 0, exponentials = 0;
    for (std::size_t e = 0; e < w.size(); ++e) {
      sum += static_cast<double>(c[static_cast<std::size_t>(n * experts) + e]);
      exponentials += std::exp(z[e]);
    }
    for (std::size_t e = 0; e < w.size(); ++e) {
      expected[e] += static_cast<double>(c[static_cast<std::size_t>(n * experts) + e]) - w[e] * sum;
      expected[e] += 0.5 / samples * 2 * std::log(exponentials) * w[e];
    }
  }
  const auto slices = test.router->network()->gradient().slices();
  const auto bias = std::ranges::find(slices, "gate/dense_1/bias", &nn::ParameterSlice::name);
  ASSERT_NE(bias, slices.end());
  ASSERT_EQ(bias->count, experts);
  for (index_t e = 0; e < experts; ++e)
    EXPECT_NEAR(bias->gradient[e], expected[static_cast<std::size_t>(e)], 2e-6);
}

TEST(AttentiveRouter, weighs_all_experts_by_their_hidden_vectors) {
  for (const bool frozen : {false, true}) {
    Routed test("attention:experts", {}, frozen);
    const nn::Pass pass = test.pass();
    LayerOutput output{test.router->route(pass), {}};
    test.return_rows(output, Returned::hidden, hidden, 3);
    test.router->weigh(pass, output);
    std::vector<float> c, d_hidden(static_cast<std::size_t>(samples * experts * hidden), 99.0F);
    test::RowPlaces<float> d_slots;
    for (index_t s = 0; s < samples * experts; ++s) {
      c.push_back(static_cast<float>(draw(2, s)));
      d_slots.push_back(d_hidden.data() + s * hidden);
    }
    SlotGradients gradients{{}, tensor::Matrix(c.data(), samples, experts)};
    gradients.returned[Returned::hidden] = d_slots.view(hidden);
    test.router->backward_scores(pass, output, gradients, {});
    for (index_t n = 0; n < samples; ++n) {
      const Values u =
          times(times(sample(test, n), test.parameters(0, 0), hidden), test.parameters(1, 0), hidden);
      Values a;
      double sum = 0;
      for (index_t e = 0; e < experts; ++e) {
        a.push_back(0);
        for (index_t i = 0; i < hidden; ++i)
          a.back() += u[static_cast<std::size_t>(i)] * test.slots[static_cast<std::size_t>(n * experts + e)][i];
        a.back() /= std::sqrt(static_cast<double>(hidden));
        sum += c[static_cast<std::size_t>(n * experts + e)];
      }
      const Values w = softmax(a);
      for (index_t e = 0; e < experts; ++e) {
        const auto slot = static_cast<std::size_t>(n * experts + e);
        EXPECT_EQ(output.routing.experts[slot], e);
        EXPECT_NEAR(output.routing.weights(n, e), w[static_cast<std::size_t>(e)], 1e-6);
        // The experts learn from their keys, also where the queries are frozen.
        const double d_a = c[slot] - w[static_cast<std::size_t>(e)] * sum;
        for (index_t i = 0; i < hidden; ++i)
          EXPECT_NEAR(d_slots[slot][i], d_a * u[static_cast<std::size_t>(i)] / std::sqrt(7.0), 2e-6);
      }
    }
  }
}

TEST(AttentiveRouter, needs_experts_with_hidden_vectors) {
  const GateSpec gate = parse_gate("attention:experts");
  EXPECT_THAT(config_error_of([&] {
                gate.kind.resolve({{}, gate.layers, {1, 1, features}, classes, {}, "dense:classes"});
              }),
              HasSubstr("model.expert = 'dense:classes' has no hidden vector to attend to"));
}

TEST(MostCertainRouter, lets_the_expert_with_the_least_entropy_answer) {
  Routed test("most_certain:experts");
  EXPECT_EQ(test.router->network(), nullptr);
  const nn::Pass pass = test.pass();
  LayerOutput output{test.router->route(pass), {}};
  test.return_rows(output, Returned::output, classes, 2);
  Values certainty;
  for (index_t s = 0; s < samples * experts; ++s) {
    float* const row = test.returned.data() + s * classes;
    certainty.push_back(0);
    for (const double y : softmax({row, row + classes})) certainty.back() += y * std::log2(y);
    const Values y = softmax({row, row + classes});
    for (index_t i = 0; i < classes; ++i) row[i] = static_cast<float>(std::log(y[static_cast<std::size_t>(i)]));
  }
  test.router->weigh(pass, output);
  for (index_t n = 0; n < samples; ++n) {
    const Values own(certainty.begin() + n * experts, certainty.begin() + (n + 1) * experts);
    for (index_t e = 0; e < experts; ++e) {
      const bool answers = falling(own)[0] == static_cast<std::size_t>(e);
      EXPECT_EQ(output.routing.experts[n * experts + e], e);
      EXPECT_NEAR(output.routing.weights(n, e), softmax(own)[static_cast<std::size_t>(e)], 1e-6);
      EXPECT_EQ(output.routing.log_weights(n, e), answers ? 0.0F : -std::numeric_limits<float>::infinity());
    }
  }
}

TEST(LabelRouter, sends_a_sample_where_its_label_belongs) {
  Routed test("by_label:experts", options([&](Options& o) {
                o.experts = 2;
                o.partition = "2 0 | 1";
              }));
  EXPECT_EQ(test.router->network(), nullptr);
  const Routing routing = test.router->route(test.pass());
  EXPECT_EQ(routing.slots, 1);
  EXPECT_THAT(routing.experts, ElementsAre(0, 1, 0, 0, 1, 0));
  for (index_t n = 0; n < samples; ++n) {
    EXPECT_EQ(routing.weights(n, 0), 1.0F);
    EXPECT_EQ(routing.log_weights(n, 0), 0.0F);
  }
}

TEST(LabelRouter, needs_the_labels_of_the_data) {
  const auto error = [](const std::string& partition) {
    return config_error_of([&] {
      Routed("by_label:experts", options([&](Options& o) {
               o.experts = 2;
               o.partition = partition;
             }));
    });
  };
  EXPECT_EQ(error("0 1 | 2 3"), "moe.partition has label 3, and the data have 3 classes (from 0); remove it");
  EXPECT_EQ(error("0 | 2"), "moe.partition leaves out label 1 of 3 (its samples would have no expert); add it");
}

TEST(FixedRouter, has_one_expert_for_all) {
  Routed test("none", options([&](Options& o) { o.experts = 1; }));
  EXPECT_EQ(test.router->network(), nullptr);
  const Routing routing = test.router->route(test.pass());
  EXPECT_EQ(routing.slots, 1);
  EXPECT_THAT(routing.experts, testing::Each(0));
  for (index_t n = 0; n < samples; ++n) EXPECT_EQ(routing.weights(n, 0), 1.0F);
}

TEST(Router, says_what_weighs_the_experts) {
  const auto text = [](const std::string& gate, const Options& moe) {
    nn::NetworkShape network;
    network.layers.push_back(nn::DenseShape{.in = 3, .out = 9});
    return parse_gate(gate).kind.describe(moe, network);
  };
  EXPECT_EQ(text("dense:experts", {}), "weight softmax, noise none");
  EXPECT_EQ(text("dense:experts", options([&](Options& o) {
                   o.expert_temperature = 2.5;
                   o.gate_value = GateValue::noisy_logit;
                   o.noise = GateNoise::normal;
                   o.noise_draw = NoiseDraw::once;
                   o.noise_when = When::always;
                 })),
            "weight noisy_logit, noise normal of scale 0.2 (once, always), experts learn at temperature 2.5");
  EXPECT_EQ(text("attention:experts", {}), "queries and keys of width 9");
  EXPECT_EQ(text("by_label:experts", options([&](Options& o) { o.partition = "0 | 1"; })), "labels 0 | 1");
}

}  // namespace
}  // namespace switchyard::moe
