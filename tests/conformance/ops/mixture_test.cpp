#include "ops/moe/mixture.hpp"

#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/mixture_case.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

struct Size {
  index_t samples, experts, slots, classes;
};
const Size sizes[] = {{7, 5, 5, 10},  {3, 1, 1, 2},   {5, 64, 1, 10}, {5, 64, 2, 10},
                      {2, 33, 33, 3}, {1, 2, 2, 100}, {4, 31, 4, 1},  {0, 5, 2, 10}};

std::string describe(const Size& s) {
  return std::to_string(s.samples) + " samples, " + std::to_string(s.slots) + " of " +
         std::to_string(s.experts) + " experts, " + std::to_string(s.classes) + " classes";
}

// Logits and log-probabilities reach about 15, so a rounded exponent is off by 15 * 2^-23: 2e-6, and a little
// more for sums of a few dozen terms.
constexpr double relative = 5e-6;

void expect_near(const std::vector<float>& got, const std::vector<double>& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(got[i]), expected[i], relative * (1 + std::abs(expected[i])))
        << what << " at " << i;
  }
}

TEST(Mixture, equals_the_reference_forward) {
  for (const Size& size : sizes) {
    SCOPED_TRACE(describe(size));
    const MixtureData data(size.samples, size.experts, size.slots, size.classes, 1);
    device::Context context(1);
    const MixtureRun run(context, data, 1.0F, {});
    const reference::MixtureResult expected = reference::mixture(data.reference_case());
    expect_near(run.weights, expected.weights.values, "weights");
    expect_near(run.posteriors, expected.posteriors.values, "posteriors");
    expect_near(run.losses, expected.losses, "losses");
    expect_near(run.probabilities, expected.probabilities.values, "probabilities");
    EXPECT_EQ(run.predicted, std::vector<std::int32_t>(expected.predicted.begin(), expected.predicted.end()));
    for (std::size_t n = 0; n < run.entropies.size(); ++n) {
      EXPECT_NEAR(run.entropies[n], expected.entropies[n], relative * (1 + expected.entropies[n]));
    }
  }
}

TEST(Mixture, has_the_same_bits_on_every_executor) {
  for (const Size& size : sizes) {
    const MixtureData data(size.samples, size.experts, size.slots, size.classes, 1);
    const std::vector<double> importance(static_cast<std::size_t>(size.experts), 0.3);
    on_every_executor(describe(size), [&](device::Context& context) {
      const MixtureRun run(context, data, 0.25F, importance);
      std::vector<float> all;
      for (const auto* part : {&run.weights, &run.log_weights, &run.losses, &run.posteriors, &run.probabilities,
                               &run.d_log_probs, &run.d_logits}) {
        all.insert(all.end(), part->begin(), part->end());
      }
      all.insert(all.end(), run.predicted.begin(), run.predicted.end());
      all.insert(all.end(), run.entropies.begin(), run.entropies.end());
      return all;
    });
  }
}

TEST(Mixture, gives_gradient_to_the_label_of_each_slot_only) {
  const MixtureData data(4, 6, 3, 5, 2);
  device::Context context(1);
  const float scale = 0.5F;
  const MixtureRun run(context, data, scale, {});
  for (index_t i = 0; i < data.samples * data.slots; ++i) {
    for (index_t c = 0; c < data.classes; ++c) {
      const float expected = c == data.labels[static_cast<std::size_t>(i / data.slots)]
                                 ? -scale * run.posteriors[static_cast<std::size_t>(i)]
                                 : 0.0F;
      EXPECT_EQ(run.d_log_probs[static_cast<std::size_t>(i * data.classes + c)], expected);
    }
  }
}

// Frozen experts want none.
TEST(Mixture, gives_the_weights_their_gradient_without_the_rows) {
  const MixtureData data(4, 6, 3, 5, 2);
  const auto backward = [&](device::Context& context, tensor::RowTarget rows) {
    const MixtureRun run(context, data, 0.5F, {});
    std::vector<float> d_log_weights(run.weights.size(), -7.0F);
    const tensor::ConstMatrix h(run.posteriors.data(), data.samples, data.slots);
    mixture_backward(context, data.batch(), {h, h}, 0.5F,
                     {rows, {d_log_weights.data(), data.samples, data.slots}});
    return d_log_weights;
  };
  std::vector<float> space(data.log_probs.size());
  test::RowPlaces<float> rows;
  for (index_t i = 0; i < data.samples * data.slots; ++i) rows.push_back(space.data() + i * data.classes);
  device::Context context(1);
  const std::vector<float> with_rows = backward(context, rows.view(data.classes));
  EXPECT_EQ(on_every_executor("no rows", [&](device::Context& c) { return backward(c, {}); }), with_rows);
}

TEST(Mixture, gives_no_gradient_to_experts_without_a_slot) {
  const MixtureData data(6, 16, 2, 5, 3);
  device::Context context(1);
  const MixtureRun run(context, data, 1.0F, std::vector<double>(16, 2.0));
  for (index_t n = 0; n < data.samples; ++n) {
    for (index_t e = 0; e < data.experts; ++e) {
      const auto* const slots = data.chosen.data() + n * data.slots;
      const bool chosen = std::find(slots, slots + data.slots, e) != slots + data.slots;
      EXPECT_EQ(run.d_logits[static_cast<std::size_t>(n * data.experts + e)] != 0.0F, chosen);
    }
  }
}

TEST(Mixture, predicts_the_lower_class_of_a_tie) {
  const std::vector<float> logits = {0.0F, 0.0F};
  const std::vector<float> rows = {std::log(0.25F), std::log(0.5F), std::log(0.25F),
                                   std::log(0.25F), std::log(0.0F), std::log(0.75F)};
  // Means 0.25, 0.25, 0.5; then with the rows swapped in the last two classes: 0.25, 0.5, 0.25.
  const std::vector<float> tied = {std::log(0.1F), std::log(0.4F), std::log(0.5F),
                                   std::log(0.1F), std::log(0.5F), std::log(0.4F)};
  const std::vector<std::int32_t> experts = {0, 1}, labels = {0};
  const auto predict = [&](const std::vector<float>& log_probs) {
    return on_every_executor("a tie", [&](device::Context& context) {
      const test::RowPlaces<const float> places = {log_probs.data(), log_probs.data() + 3};
      std::vector<float> w(2), log_w(2), h(2), loss(1);
      std::vector<std::int32_t> predicted(1);
      gate_weights(context, {logits.data(), 1, 2}, experts.data(), {{w.data(), 1, 2}, {log_w.data(), 1, 2}});
      mixture_forward(
          context,
          {.samples = 1, .slots = 2, .log_probs = places.view(3), .labels = labels.data(), .classes = 3},
          tensor::ConstMatrix(log_w.data(), 1, 2), {loss, {h.data(), 1, 2}, predicted});
      return predicted;
    })[0];
  };
  EXPECT_EQ(predict(rows), 2);
  EXPECT_EQ(predict(tied), 1);
}

// Weights 0.6 and 0.4: the mixture says class 1, the heavier expert alone class 0.
TEST(Mixture, lets_the_heaviest_slot_answer_for_competing_experts) {
  const std::vector<float> logits = {std::log(0.6F), std::log(0.4F)};
  const std::vector<float> rows = {std::log(0.55F), std::log(0.45F), std::log(0.1F), std::log(0.9F)};
  const std::vector<std::int32_t> experts = {0, 1}, labels = {0};
  const test::RowPlaces<const float> places = {rows.data(), rows.data() + 2};
  for (const bool one : {false, true}) {
    const auto got = on_every_executor("competing experts", [&](device::Context& context) {
      std::vector<float> w(2), log_w(2), h(2), loss(1);
      std::vector<std::int32_t> predicted(1);
      gate_weights(context, {logits.data(), 1, 2}, experts.data(), {{w.data(), 1, 2}, {log_w.data(), 1, 2}});
      const MixtureBatch batch{1, 2, places.view(2), labels.data(), 2, one ? 0.5F : 1.0F, 1, one};
      mixture_forward(context, batch, tensor::ConstMatrix(log_w.data(), 1, 2),
                      {loss, {h.data(), 1, 2}, predicted});
      return std::vector<float>{static_cast<float>(predicted[0]), loss[0]};
    });
    EXPECT_EQ(got[0], one ? 0.0F : 1.0F);
    const double expected =
        one ? -std::log(0.6 * std::sqrt(0.55) + 0.4 * std::sqrt(0.1)) : -std::log(0.6 * 0.55 + 0.4 * 0.1);
    EXPECT_NEAR(got[1], expected, 1e-6);
  }
}

// Everything that a temperature has a say in, and the losses, in which it has none.
struct TemperatureRun {
  std::vector<float> losses, of_weights, of_experts, d_log_weights, d_log_probs;

  TemperatureRun(device::Context& context, const MixtureData& data, float temperature)
      : losses(static_cast<std::size_t>(data.samples)),
        of_weights(data.rows.size()),
        of_experts(data.rows.size()),
        d_log_weights(data.rows.size()),
        d_log_probs(data.log_probs.size()) {
    const auto slots = [&](std::vector<float>& values) {
      return tensor::Matrix(values.data(), data.samples, data.slots);
    };
    std::vector<float> weights(data.rows.size()), log_weights(data.rows.size());
    gate_weights(context, {data.gate_logits.data(), data.samples, data.experts}, data.chosen.data(),
                 {slots(weights), slots(log_weights)});
    MixtureBatch batch = data.batch();
    batch.expert_temperature = temperature;
    std::vector<std::int32_t> predicted(losses.size());
    mixture_forward(context, batch, slots(log_weights),
                    {.losses = losses,
                     .posteriors = slots(of_weights),
                     .predicted = predicted,
                     .expert_posteriors = slots(of_experts)});
    test::RowPlaces<float> d_rows;
    for (std::size_t i = 0; i < data.rows.size(); ++i)
      d_rows.push_back(d_log_probs.data() + i * static_cast<std::size_t>(data.classes));
    mixture_backward(context, batch, {slots(of_weights), slots(of_experts)}, 0.5F,
                     {d_rows.view(data.classes), slots(d_log_weights)});
  }
};

TEST(Mixture, lets_experts_learn_at_a_temperature_of_their_own) {
  for (const Size& size : sizes) {
    const MixtureData data(size.samples, size.experts, size.slots, size.classes, 1);
    for (const float temperature : {0.3F, 2.5F, 100.0F}) {
      SCOPED_TRACE(describe(size) + ", temperature " + std::to_string(temperature));
      device::Context context(1);
      const TemperatureRun run(context, data, temperature), without(context, data, 1);
      EXPECT_TRUE(same_bits(run.losses, without.losses));
      EXPECT_TRUE(same_bits(run.of_weights, without.of_weights));
      EXPECT_TRUE(same_bits(run.d_log_weights, without.d_log_weights));
      // The posteriors of a mixture whose scores were divided before the softmax.
      reference::MixtureCase divided = data.reference_case();
      for (double& z : divided.gate_logits.values) z /= static_cast<double>(temperature);
      const reference::MixtureResult expected = reference::mixture(divided);
      expect_near(run.of_experts, expected.posteriors.values, "posteriors of experts");
      for (std::size_t i = 0; i < data.rows.size(); ++i) {
        const auto label = static_cast<std::size_t>(data.labels[i / static_cast<std::size_t>(data.slots)]);
        EXPECT_EQ(run.d_log_probs[i * static_cast<std::size_t>(data.classes) + label],
                  -0.5F * run.of_experts[i]);
      }
    }
    on_every_executor(describe(size),
                      [&](device::Context& context) { return TemperatureRun(context, data, 2.5F).of_experts; });
  }
}

TEST(Mixture, survives_probabilities_that_float32_cannot_hold) {
  // exp(-200) is 0 in float32; the loss and the posteriors are exact all the same.
  const std::vector<float> logits = {0.0F, 0.0F}, rows = {-200.0F, 0.0F, -201.0F, 0.0F};
  const std::vector<std::int32_t> experts = {0, 1}, labels = {0};
  const test::RowPlaces<const float> places = {rows.data(), rows.data() + 2};
  device::Context context(1);
  std::vector<float> w(2), log_w(2), h(2), loss(1);
  std::vector<std::int32_t> predicted(1);
  gate_weights(context, {logits.data(), 1, 2}, experts.data(), {{w.data(), 1, 2}, {log_w.data(), 1, 2}});
  mixture_forward(
      context, {.samples = 1, .slots = 2, .log_probs = places.view(2), .labels = labels.data(), .classes = 2},
      tensor::ConstMatrix(log_w.data(), 1, 2), {loss, {h.data(), 1, 2}, predicted});
  EXPECT_NEAR(loss[0], 200 + std::log(2.0) - std::log1p(std::exp(-1.0)), 3e-5);  // an ulp of 200 is 1.5e-5
  EXPECT_NEAR(h[0], 1 / (1 + std::exp(-1.0)), 2e-5);
}

TEST(Mixture, predicts_a_class_whatever_the_rows_hold) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {nan, -infinity, -300.0F}) {
    const std::vector<float> rows = {value, value, value}, log_w = {0.0F};
    const std::vector<std::int32_t> labels = {1};
    const test::RowPlaces<const float> places = {rows.data()};
    device::Context context(1);
    std::vector<float> h(1), loss(1);
    std::vector<std::int32_t> predicted(1, -1);
    mixture_forward(
        context, {.samples = 1, .slots = 1, .log_probs = places.view(3), .labels = labels.data(), .classes = 3},
        tensor::ConstMatrix(log_w.data(), 1, 1), {loss, {h.data(), 1, 1}, predicted});
    EXPECT_EQ(predicted[0], 0) << value;
    EXPECT_EQ(std::isfinite(loss[0]), std::isfinite(value)) << value;
  }
}

TEST(Mixture, refuses_views_that_do_not_fit) {
  const MixtureData data(2, 4, 2, 3, 1);
  device::Context context(1);
  std::vector<float> small(2), fit(4);
  EXPECT_THROW(gate_weights(context, {data.gate_logits.data(), 2, 4}, data.chosen.data(),
                            {{small.data(), 1, 2}, {fit.data(), 2, 2}}),
               ContractViolation);
  EXPECT_THROW(gate_weights(context, {data.gate_logits.data(), 2, 4}, data.chosen.data(),
                            {{fit.data(), 2, 5}, {fit.data(), 2, 5}}),
               ContractViolation);
  EXPECT_THROW(entropy_rows(context, {fit.data(), 2, 2}, std::span<double>()), ContractViolation);
  EXPECT_THROW(TemperatureRun(context, data, 0), ContractViolation);
  EXPECT_THROW(TemperatureRun(context, data, -1), ContractViolation);
  MixtureBatch warm = data.batch();
  warm.expert_temperature = 2;
  const tensor::Matrix fits(fit.data(), 2, 2);
  std::vector<std::int32_t> predicted(2);
  EXPECT_THROW(mixture_forward(context, warm, fits, {small, fits, predicted}), ContractViolation)
      << "the experts' posteriors have no room";
  const test::RowPlaces<float> rows(4, fit.data());
  EXPECT_THROW(mixture_backward(context, warm, {fits, {small.data(), 1, 2}}, 1, {rows.view(1), fits}),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
