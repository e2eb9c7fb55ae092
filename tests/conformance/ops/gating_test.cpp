// From scores to the gradient of scores, for both measures and both regularisers.
#include "ops/moe/gating.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"
#include "ops/rows.hpp"
#include "support/reference_losses.hpp"

namespace switchyard::ops {
namespace {

namespace naive = switchyard::reference;

struct Size {
  index_t samples, experts, slots;
};
const Size sizes[] = {{6, 8, 1},   {5, 4, 2}, {4, 5, 5},  {3, 64, 1},
                      {2, 33, 33}, {3, 1, 1}, {2, 40, 7}, {0, 4, 1}};

// What gate_backward is told, and what it must give: the gradient of
//   sum_n ( sum_i d_ni (log w_ni, or z_e)  +  sum_i importance_e w_ni  +  sum_e probability_e p_ne
//           + sample_scale sum_e sample_probability_ne p_ne  +  z_loss (log sum_e e^z_e)^2 - entropy sum_e p_ne
//           log p_ne )
struct GateData {
  Size size;
  GateMeasure measure;
  std::vector<float> scores, d_slots;
  std::vector<std::int32_t> chosen;
  std::vector<double> importance, probability;  // empty: none
  float z_loss = 0, entropy = 0;
  std::vector<float> sample_probability;  // [N, E], empty: none
  double sample_scale = 0.7;
  WeightSum weight_sum = WeightSum::usual;

  GateData(const Size& size_in, GateMeasure measure_in, bool with_importance, bool with_probability)
      : size(size_in),
        measure(measure_in),
        scores(random_values(size.samples * size.experts, 1, 2.0F)),
        d_slots(random_values(size.samples * size.slots, 2)) {
    std::mt19937 generator(3);
    std::vector<std::int32_t> all(as_size(size.experts));
    std::iota(all.begin(), all.end(), 0);
    for (index_t n = 0; n < size.samples; ++n) {
      if (size.slots < size.experts) std::shuffle(all.begin(), all.end(), generator);
      chosen.insert(chosen.end(), all.begin(), all.begin() + size.slots);
    }
    const std::vector<float> c = random_values(2 * size.experts, 4);
    if (with_importance) importance.assign(c.begin(), c.begin() + size.experts);
    if (with_probability) probability.assign(c.begin() + size.experts, c.end());
  }

  // By the definition: e^z of the chosen, divided by what `weight_sum` says.
  std::vector<double> weights_of(index_t n, const std::vector<double>& z) const {
    const bool of_experts =
        weight_sum == WeightSum::experts || (weight_sum == WeightSum::usual && size.slots == 1);
    std::vector<double> w;
    double divisor = 0;
    for (index_t i = 0; i < size.slots; ++i) {
      w.push_back(std::exp(z[as_size(chosen[as_size(n * size.slots + i)])]));
      divisor += w.back();
    }
    if (of_experts) {
      divisor = 0;
      for (const double score : z) divisor += std::exp(score);
    }
    if (weight_sum == WeightSum::one) divisor = 1;
    for (double& weight : w) weight /= divisor;
    return w;
  }

  double value(index_t n, const std::vector<double>& z) const {
    std::vector<double> of_slots;
    for (index_t i = 0; i < size.slots; ++i)
      of_slots.push_back(z[as_size(chosen[as_size(n * size.slots + i)])]);
    const std::vector<double> p = naive::softmax_of(z);
    const std::vector<double> w = weights_of(n, z);
    double sum = 0;
    for (index_t i = 0; i < size.slots; ++i) {
      const double by = measure == GateMeasure::weight ? std::log(w[as_size(i)]) : of_slots[as_size(i)];
      sum += d_slots[as_size(n * size.slots + i)] * by;
      if (!importance.empty()) sum += importance[as_size(chosen[as_size(n * size.slots + i)])] * w[as_size(i)];
    }
    for (std::size_t e = 0; e < probability.size(); ++e) sum += probability[e] * p[e];
    for (std::size_t e = 0; e < p.size() && !sample_probability.empty(); ++e) {
      sum += sample_scale * sample_probability[as_size(n) * p.size() + e] * p[e];
    }
    double total = 0;
    for (const double score : z) total += std::exp(score);
    sum += z_loss * std::log(total) * std::log(total);
    for (const double share : p) sum -= entropy * share * std::log(share);
    return sum;
  }

  tensor::ConstMatrix sample_view() const {
    return sample_probability.empty()
               ? tensor::ConstMatrix()
               : tensor::ConstMatrix(sample_probability.data(), size.samples, size.experts);
  }

  std::vector<float> backward(device::Context& context) const {
    std::vector<float> weights(d_slots.size()), log_weights(d_slots.size());
    const tensor::ConstMatrix z(scores.data(), size.samples, size.experts);
    const tensor::Matrix w(weights.data(), size.samples, size.slots);
    const tensor::Matrix log_w(log_weights.data(), size.samples, size.slots);
    gate_weights(context, z, chosen.data(), {.weights = w, .log_weights = log_w, .sum = weight_sum});
    const PaddedMatrix d_scores(size.samples, size.experts, 2);
    gate_backward(context,
                  {.scores = z,
                   .experts = chosen.data(),
                   .weights = w,
                   .log_weights = log_w,
                   .sum = weight_sum,
                   .measure = measure,
                   .d_slots = {d_slots.data(), size.samples, size.slots},
                   .importance = importance,
                   .probability = probability,
                   .sample_probability = sample_view(),
                   .sample_scale = &sample_scale,
                   .z_loss = z_loss,
                   .entropy = entropy},
                  d_scores.view());
    EXPECT_TRUE(d_scores.padding_is_untouched());
    std::vector<float> result;
    for (index_t n = 0; n < size.samples; ++n) {
      result.insert(result.end(), d_scores.view().row(n), d_scores.view().row(n) + size.experts);
    }
    return result;
  }
};

template <class F>
void for_all_gates(const F& f) {
  for (const Size& size : sizes) {
    for (const GateMeasure measure : {GateMeasure::weight, GateMeasure::score}) {
      for (const bool importance : {false, true}) {
        for (const bool probability : {false, true}) {
          SCOPED_TRACE(std::to_string(size.slots) + " of " + std::to_string(size.experts) +
                       (measure == GateMeasure::weight ? " by weight" : " by score") +
                       (importance ? ", importance" : "") + (probability ? ", probability" : ""));
          f(GateData(size, measure, importance, probability));
          GateData with_own(size, measure, importance, probability);
          with_own.z_loss = 0.3F;
          with_own.entropy = 0.8F;
          f(with_own);
          with_own.sample_probability = random_values(size.samples * size.experts, 5);
          f(with_own);
          for (const WeightSum sum : {WeightSum::slots, WeightSum::experts, WeightSum::one}) {
            SCOPED_TRACE(static_cast<int>(sum));
            with_own.weight_sum = sum;
            f(with_own);
            GateData alone(size, measure, importance, probability);
            alone.weight_sum = sum;
            f(alone);
          }
        }
      }
    }
  }
}

TEST(GateBackward, equals_the_differences_of_what_it_derives) {
  device::Context context(1);
  for_all_gates([&](const GateData& data) {
    const std::vector<float> got = data.backward(context);
    for (index_t n = 0; n < data.size.samples; ++n) {
      std::vector<double> z(data.scores.begin() + n * data.size.experts,
                            data.scores.begin() + (n + 1) * data.size.experts);
      const std::vector<double> expected = testing::central_differences(z, [&] { return data.value(n, z); });
      for (index_t e = 0; e < data.size.experts; ++e) {
        // Sums of up to 33 gradients of size 1 in float32.
        ASSERT_NEAR(got[as_size(n * data.size.experts + e)], expected[as_size(e)], 2e-5)
            << "sample " << n << ", expert " << e;
      }
    }
  });
}

// The gradient of GateData::value() by its formula. long double has the digits that 1 - p_e takes away from a
// decided gate.
std::vector<long double> exact_gradient(const GateData& data) {
  const auto experts = as_size(data.size.experts);
  const auto slots = as_size(data.size.slots);
  const auto softmax = [](const std::vector<long double>& z) {
    const long double m = *std::max_element(z.begin(), z.end());
    std::vector<long double> p;
    for (const long double score : z) p.push_back(std::exp(score - m));
    const long double sum = std::accumulate(p.begin(), p.end(), 0.0L);
    for (long double& share : p) share /= sum;
    return p;
  };
  const std::vector<long double> z(data.scores.begin(), data.scores.end());
  const std::vector<long double> p = softmax(z);
  std::vector<long double> d(experts, 0.0L), of_slots;
  for (std::size_t i = 0; i < slots; ++i) of_slots.push_back(z[as_size(data.chosen[i])]);
  const bool over_all = slots == 1 || data.weight_sum == WeightSum::experts;
  const std::vector<long double> w = softmax(of_slots);
  long double sum = 0;
  for (std::size_t i = 0; i < slots; ++i) sum += data.d_slots[i];
  for (std::size_t i = 0; i < slots; ++i)
    d[as_size(data.chosen[i])] += data.d_slots[i] - (over_all ? 0 : w[i] * sum);
  long double entropy = 0;
  long double mean = 0;
  for (std::size_t e = 0; e < experts; ++e) {
    entropy -= p[e] * std::log(p[e]);
    if (!data.probability.empty()) mean += p[e] * data.probability[e];
  }
  const std::size_t top = as_size(std::max_element(z.begin(), z.end()) - z.begin());
  const long double log_sum = z[top] - std::log(p[top]);
  for (std::size_t e = 0; e < experts; ++e) {
    if (over_all) d[e] -= sum * p[e];
    if (!data.probability.empty()) d[e] += p[e] * (data.probability[e] - mean);
    d[e] += p[e] * (2 * data.z_loss * log_sum - data.entropy * (std::log(p[e]) + entropy));
  }
  return d;
}

// A decided gate's gradient is small, and every digit of it counts: also where the scores are large, and for
// the expert that is (nearly) certain.
TEST(GateBackward, of_a_decided_gate_keeps_its_digits) {
  device::Context context(1);
  const auto expect_digits = [&](const GateData& data) {
    const std::vector<float> got = data.backward(context);
    const std::vector<long double> expected = exact_gradient(data);
    for (std::size_t e = 0; e < got.size(); ++e) {
      const auto exact = static_cast<double>(expected[e]);
      EXPECT_NEAR(got[e], exact, 4e-6 * std::abs(exact)) << "expert " << e;
    }
  };
  for (const float offset : {0.0F, 1000.0F, -1000.0F, 30000.0F}) {
    for (const float lead : {0.0F, 4.0F, 16.0F, 25.0F, -16.0F}) {
      for (const auto& [slots, sum] : {std::pair<index_t, WeightSum>{1, WeightSum::usual},
                                       {2, WeightSum::usual},
                                       {4, WeightSum::usual},
                                       {2, WeightSum::experts},
                                       {4, WeightSum::experts}}) {
        SCOPED_TRACE(::testing::Message() << offset << ", leads by " << lead << ", " << slots << " slots, "
                                          << static_cast<int>(sum));
        GateData data({1, 4, slots}, GateMeasure::weight, false, false);
        data.weight_sum = sum;
        data.scores = {offset - 1.5F, offset + lead, offset + 0.25F, offset - 0.5F};
        data.chosen = {1, 2, 0, 3};
        data.chosen.resize(as_size(slots));
        expect_digits(data);
        // Each regulariser alone, since two terms of opposite sign may cancel in the sum.
        std::ranges::fill(data.d_slots, 0.0F);
        data.probability = {0.5, -0.25, 1.0, 0.75};
        expect_digits(data);
        data.probability.clear();
        data.entropy = 0.8F;
        expect_digits(data);
        data.entropy = 0;
        data.z_loss = 0.3F;
        expect_digits(data);
      }
    }
  }
}

TEST(GateBackward, has_the_same_bits_on_every_executor) {
  for_all_gates([&](const GateData& data) {
    on_every_executor("gate_backward", [&](device::Context& context) { return data.backward(context); });
  });
}

// The loss by the score itself reaches the chosen experts' scores and nothing else.
TEST(GateBackward, by_score_is_the_slot_gradient_itself) {
  device::Context context(1);
  const GateData data({4, 6, 2}, GateMeasure::score, false, false);
  const std::vector<float> got = data.backward(context);
  std::vector<float> expected(got.size(), 0.0F);
  for (index_t i = 0; i < 8; ++i)
    expected[as_size(i / 2 * 6 + data.chosen[as_size(i)])] = data.d_slots[as_size(i)];
  EXPECT_EQ(got, expected);
}

TEST(GateBackward, refuses_regularisers_of_another_length) {
  device::Context context(1);
  GateData data({2, 4, 2}, GateMeasure::weight, true, true);
  data.probability.pop_back();
  EXPECT_THROW(data.backward(context), ContractViolation);
  data.probability.clear();
  data.importance.push_back(1);
  EXPECT_THROW(data.backward(context), ContractViolation);
  data.importance.clear();
  EXPECT_NO_THROW(data.backward(context));
  data.sample_probability.resize(9);
  --data.size.samples;  // of the view: one row too few
  const tensor::ConstMatrix short_of_a_row = data.sample_view();
  ++data.size.samples;
  std::vector<float> values(8);
  const tensor::ConstMatrix two_slots(values.data(), 2, 2);
  EXPECT_THROW(gate_backward(context,
                             {.scores = {data.scores.data(), 2, 4},
                              .experts = data.chosen.data(),
                              .weights = two_slots,
                              .log_weights = two_slots,
                              .d_slots = two_slots,
                              .sample_probability = short_of_a_row},
                             {values.data(), 2, 4}),
               ContractViolation);
}

TEST(GatherScores, takes_the_chosen_experts_scores) {
  for (const Size& size : sizes) {
    const GateData data(size, GateMeasure::score, false, false);
    const PaddedMatrix scores(data.scores, size.samples, size.experts, 3);
    const std::vector<float> got = on_every_executor("gather_scores", [&](device::Context& context) {
      std::vector<float> values(as_size(size.samples * size.slots), -7.0F);
      gather_scores(context, scores.view(), data.chosen.data(), size.slots,
                    {values.data(), size.samples, size.slots});
      return values;
    });
    for (index_t i = 0; i < size.samples * size.slots; ++i) {
      EXPECT_EQ(got[as_size(i)], scores.view()(i / size.slots, data.chosen[as_size(i)])) << i;
    }
  }
}

TEST(ScoreStatistics, are_the_squared_log_sum_and_the_entropy_of_every_row) {
  for (const index_t experts : edge_sizes) {
    if (experts == 0) continue;
    const index_t samples = 7;
    std::vector<float> scores = random_values(samples * experts, 6, 3.0F);
    if (experts > 1) scores[0] = -200.0F;  // a probability that float32 cannot hold
    const std::vector<double> got = on_every_executor("score_statistics", [&](device::Context& context) {
      std::vector<double> both(2 * as_size(samples));
      score_statistics(context, {scores.data(), samples, experts}, std::span(both).first(as_size(samples)),
                       std::span(both).subspan(as_size(samples)));
      return both;
    });
    for (index_t n = 0; n < samples; ++n) {
      double sum = 0;
      double entropy = 0;
      const std::vector<double> z(scores.begin() + n * experts, scores.begin() + (n + 1) * experts);
      for (const double score : z) sum += std::exp(score);
      for (const double p : naive::softmax_of(z)) entropy -= p > 0 ? p * std::log(p) : 0.0;
      const double square = std::log(sum) * std::log(sum);
      EXPECT_NEAR(got[as_size(n)], square, 5e-6 * (1 + square));
      EXPECT_NEAR(got[as_size(samples + n)], entropy, 5e-6 * (1 + entropy));
    }
  }
}

// Even, decided, and with an expert that nobody asks; the logarithm and the entropy of a decided gate are
// small.
TEST(ScoreStatistics, have_the_digits_of_a_decided_gate) {
  device::Context context(1);
  for (const index_t experts : {1, 2, 8, 40}) {
    for (const float lead : {0.0F, 1.0F, 12.0F, 16.0F, 40.0F, 200.0F}) {
      SCOPED_TRACE(::testing::Message() << experts << " experts, one leads by " << lead);
      std::vector<float> scores(as_size(experts), -lead);
      scores.back() = 0;
      std::vector<double> squared_log_sum(1), entropy(1);
      score_statistics(context, {scores.data(), 1, experts}, squared_log_sum, entropy);
      const long double others =
          static_cast<long double>(experts - 1) * std::exp(-static_cast<long double>(lead));
      const auto log_sum = static_cast<double>(std::log1p(others));
      const auto expected = static_cast<double>(std::log1p(others) + lead * others / (1 + others));
      EXPECT_NEAR(entropy[0], expected, 2e-6 * expected + 1e-37);
      EXPECT_NEAR(std::sqrt(squared_log_sum[0]), log_sum, 2e-6 * log_sum + 1e-37);
      std::vector<float> weight(1), log_weight(1);
      std::vector<double> bits(1);
      const std::int32_t chosen = 0;
      gate_weights(context, {scores.data(), 1, experts}, &chosen,
                   {{weight.data(), 1, 1}, {log_weight.data(), 1, 1}, bits});
      EXPECT_NEAR(bits[0], expected / std::log(2.0), 3e-7 * (1 + expected));
    }
  }
  std::vector<double> two(2);
  std::vector<float> values(4);
  EXPECT_THROW(score_statistics(context, {values.data(), 2, 2}, two, std::span(two).first(1)),
               ContractViolation);
  EXPECT_NO_THROW(score_statistics(context, {values.data(), 2, 2}, {}, two));
}

}  // namespace
}  // namespace switchyard::ops
