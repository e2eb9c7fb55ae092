#include "ops/mixture.hpp"

#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/mixture_case.hpp"

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
  const auto backward = [&](device::Context& context, float* const* rows) {
    const MixtureRun run(context, data, 0.5F, {});
    std::vector<float> d_log_weights(run.weights.size(), -7.0F);
    mixture_backward(context, data.batch(), {run.posteriors.data(), data.samples, data.slots}, 0.5F,
                     {rows, {d_log_weights.data(), data.samples, data.slots}});
    return d_log_weights;
  };
  std::vector<float> space(data.log_probs.size());
  std::vector<float*> rows;
  for (index_t i = 0; i < data.samples * data.slots; ++i) rows.push_back(space.data() + i * data.classes);
  device::Context context(1);
  const std::vector<float> with_rows = backward(context, rows.data());
  EXPECT_EQ(on_every_executor("no rows", [&](device::Context& c) { return backward(c, nullptr); }), with_rows);
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
      const std::vector<const float*> places = {log_probs.data(), log_probs.data() + 3};
      std::vector<float> w(2), log_w(2), h(2), loss(1);
      std::vector<std::int32_t> predicted(1);
      gate_weights(context, {logits.data(), 1, 2}, experts.data(), 2, {w.data(), 1, 2}, {log_w.data(), 1, 2});
      mixture_forward(
          context,
          {.samples = 1, .slots = 2, .log_probs = places.data(), .labels = labels.data(), .classes = 3},
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
  const std::vector<const float*> places = {rows.data(), rows.data() + 2};
  for (const bool one : {false, true}) {
    const auto got = on_every_executor("competing experts", [&](device::Context& context) {
      std::vector<float> w(2), log_w(2), h(2), loss(1);
      std::vector<std::int32_t> predicted(1);
      gate_weights(context, {logits.data(), 1, 2}, experts.data(), 2, {w.data(), 1, 2}, {log_w.data(), 1, 2});
      const MixtureBatch batch{1, 2, places.data(), labels.data(), 2, one ? 0.5F : 1.0F, one};
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

TEST(Mixture, survives_probabilities_that_float32_cannot_hold) {
  // exp(-200) is 0 in float32; the loss and the posteriors are exact all the same.
  const std::vector<float> logits = {0.0F, 0.0F}, rows = {-200.0F, 0.0F, -201.0F, 0.0F};
  const std::vector<std::int32_t> experts = {0, 1}, labels = {0};
  const std::vector<const float*> places = {rows.data(), rows.data() + 2};
  device::Context context(1);
  std::vector<float> w(2), log_w(2), h(2), loss(1);
  std::vector<std::int32_t> predicted(1);
  gate_weights(context, {logits.data(), 1, 2}, experts.data(), 2, {w.data(), 1, 2}, {log_w.data(), 1, 2});
  mixture_forward(context,
                  {.samples = 1, .slots = 2, .log_probs = places.data(), .labels = labels.data(), .classes = 2},
                  tensor::ConstMatrix(log_w.data(), 1, 2), {loss, {h.data(), 1, 2}, predicted});
  EXPECT_NEAR(loss[0], 200 + std::log(2.0) - std::log1p(std::exp(-1.0)), 3e-5);  // an ulp of 200 is 1.5e-5
  EXPECT_NEAR(h[0], 1 / (1 + std::exp(-1.0)), 2e-5);
}

TEST(Mixture, refuses_views_that_do_not_fit) {
  const MixtureData data(2, 4, 2, 3, 1);
  device::Context context(1);
  std::vector<float> small(2), fit(4);
  EXPECT_THROW(gate_weights(context, {data.gate_logits.data(), 2, 4}, data.chosen.data(), 2,
                            {small.data(), 1, 2}, {fit.data(), 2, 2}),
               ContractViolation);
  EXPECT_THROW(gate_weights(context, {data.gate_logits.data(), 2, 4}, data.chosen.data(), 5, {fit.data(), 2, 2},
                            {fit.data(), 2, 2}),
               ContractViolation);
  EXPECT_THROW(entropy_rows(context, {fit.data(), 2, 2}, std::span<double>()), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
