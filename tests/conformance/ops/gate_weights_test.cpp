// What a gate weighs the chosen experts by.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/moe/choice.hpp"
#include "ops/moe/gating.hpp"
#include "ops/rows.hpp"
#include "support/reference_losses.hpp"

namespace switchyard::ops {
namespace {

namespace naive = switchyard::reference;

// All samples are weighed in blocks; a sum over experts is in their order, whatever the block.
TEST(GateWeights, of_one_slot_are_of_the_softmax_over_all_experts) {
  for (const index_t samples : {1, 17, 65}) {
    for (const index_t experts : {2, 16, 17, 256, 257}) {
      const std::vector<float> z = random_values(samples * experts, 21, 3.0F);
      std::vector<std::int32_t> chosen;
      for (index_t n = 0; n < samples; ++n) chosen.push_back(static_cast<std::int32_t>(7 * n % experts));
      const auto weigh = [&](device::Context& context, index_t first, index_t count) {
        std::vector<float> w(as_size(2 * count));
        std::vector<double> entropies(as_size(count));
        gate_weights(context, {z.data() + first * experts, count, experts}, chosen.data() + first,
                     {{w.data(), count, 1}, {w.data() + count, count, 1}, entropies});
        w.insert(w.end(), entropies.begin(), entropies.end());
        return w;
      };
      const std::vector<float> all = on_every_executor(
          "gate_weights", [&](device::Context& context) { return weigh(context, 0, samples); });
      device::Context context(1);
      for (index_t n = 0; n < samples; ++n) {
        const std::vector<double> p =
            naive::softmax_of({z.begin() + n * experts, z.begin() + (n + 1) * experts});
        const double w = p[as_size(chosen[as_size(n)])];
        double entropy = 0;
        for (const double share : p) entropy -= share * std::log2(share);
        EXPECT_NEAR(all[as_size(n)], w, 1e-5 * w);
        EXPECT_NEAR(all[as_size(samples + n)], std::log(w), 1e-5);
        EXPECT_NEAR(all[as_size(2 * samples + n)], entropy, 1e-4);
        const std::vector<float> alone = weigh(context, n, 1);
        for (index_t i = 0; i < 3; ++i) ASSERT_EQ(all[as_size(i * samples + n)], alone[as_size(i)]);
      }
    }
  }
}

// By the definition: e^z of the chosen, divided by what `sum` says.
std::vector<double> naive_weights(const std::vector<double>& z, const std::vector<std::int32_t>& chosen,
                                  WeightSum sum) {
  const bool usual = sum == WeightSum::usual;
  std::vector<double> w;
  for (const std::int32_t e : chosen) w.push_back(std::exp(z[as_size(e)]));
  double divisor = 1;
  if (sum == WeightSum::slots || (usual && chosen.size() > 1))
    divisor = std::accumulate(w.begin(), w.end(), 0.0);
  if (sum == WeightSum::experts || (usual && chosen.size() == 1)) {
    divisor = 0;
    for (const double score : z) divisor += std::exp(score);
  }
  for (double& weight : w) weight /= divisor;
  return w;
}

TEST(GateWeights, are_divided_by_what_is_asked_for) {
  constexpr index_t samples = 7;
  for (const auto& [experts, slots] :
       {std::pair<index_t, index_t>{8, 1}, {4, 2}, {5, 5}, {1, 1}, {64, 1}, {33, 33}, {40, 7}}) {
    const std::vector<float> scores = random_values(samples * experts, 1, 2.0F);
    std::vector<std::int32_t> chosen;
    for (index_t i = 0; i < samples * slots; ++i)
      chosen.push_back(static_cast<std::int32_t>((3 * (i / slots) + i % slots) % experts));
    for (const WeightSum sum : {WeightSum::usual, WeightSum::slots, WeightSum::experts, WeightSum::one}) {
      SCOPED_TRACE(::testing::Message() << slots << " of " << experts << ", " << static_cast<int>(sum));
      const std::vector<float> got = on_every_executor("gate_weights", [&](device::Context& context) {
        std::vector<float> w(as_size(2 * samples * slots));
        gate_weights(context, {scores.data(), samples, experts}, chosen.data(),
                     {.weights = {w.data(), samples, slots},
                      .log_weights = {w.data() + samples * slots, samples, slots},
                      .sum = sum});
        return w;
      });
      for (index_t n = 0; n < samples; ++n) {
        const std::vector<double> expected =
            naive_weights({scores.begin() + n * experts, scores.begin() + (n + 1) * experts},
                          {chosen.begin() + n * slots, chosen.begin() + (n + 1) * slots}, sum);
        for (index_t i = 0; i < slots; ++i) {
          const index_t at = n * slots + i;
          EXPECT_NEAR(got[as_size(at)], expected[as_size(i)], 2e-6 * expected[as_size(i)]);
          EXPECT_NEAR(got[as_size(samples * slots + at)], std::log(expected[as_size(i)]), 2e-6);
        }
      }
    }
  }
  device::Context context(1);
  std::vector<float> values(4);
  std::vector<double> entropies(2);
  const std::vector<std::int32_t> chosen(2);
  EXPECT_THROW(gate_weights(context, {values.data(), 2, 2}, chosen.data(),
                            {.weights = {values.data(), 2, 1},
                             .log_weights = {values.data(), 2, 1},
                             .entropies = entropies,
                             .sum = WeightSum::one}),
               ContractViolation);
}

TEST(BiasedShares, are_the_shares_of_all_and_a_bias) {
  constexpr index_t samples = 9;
  for (const index_t experts : {1, 2, 17, 300}) {
    const std::vector<float> scores = random_values(samples * experts, 4, 3.0F);
    const std::vector<float> bias = random_values(experts, 5);
    for (const WeightSum sum : {WeightSum::experts, WeightSum::one}) {
      const std::vector<float> got = on_every_executor("biased_shares", [&](device::Context& context) {
        std::vector<float> values(scores.size());
        biased_shares(context, {scores.data(), samples, experts}, sum, bias, {values.data(), samples, experts});
        return values;
      });
      for (index_t n = 0; n < samples; ++n) {
        std::vector<double> expected(scores.begin() + n * experts, scores.begin() + (n + 1) * experts);
        if (sum == WeightSum::experts) expected = naive::softmax_of(expected);
        for (index_t e = 0; e < experts; ++e) {
          const double share = expected[as_size(e)];
          const double exact = (sum == WeightSum::experts ? share : std::exp(share)) + bias[as_size(e)];
          EXPECT_NEAR(got[as_size(n * experts + e)], exact,
                      5e-7 * (1 + std::abs(exact)) + 2e-6 * std::abs(exact));
        }
      }
    }
  }
  device::Context context(1);
  std::vector<float> values(4);
  const auto refused = [&](WeightSum sum, std::size_t biases) {
    EXPECT_THROW(biased_shares(context, {values.data(), 2, 2}, sum, std::span(values).first(biases),
                               {values.data(), 2, 2}),
                 ContractViolation);
  };
  refused(WeightSum::experts, 1);
  refused(WeightSum::slots, 2);
}

TEST(KeepBestGroups, leaves_the_groups_with_the_largest_two_values_together) {
  constexpr index_t samples = 30;
  for (const auto& [experts, count, kept] :
       {std::array<index_t, 3>{8, 4, 2}, {12, 3, 1}, {6, 6, 4}, {64, 8, 3}, {5, 1, 1}, {600, 300, 7}}) {
    SCOPED_TRACE(::testing::Message() << kept << " of " << count << " groups of " << experts);
    std::vector<float> values = random_values(samples * experts, 9);
    for (float& value : values) value = std::round(2 * value) / 2;  // ties
    const index_t size = experts / count;
    const std::vector<float> got = on_every_executor("keep_best_groups", [&](device::Context& context) {
      std::vector<float> left = values;
      keep_best_groups(context, {count, kept}, {left.data(), samples, experts});
      return left;
    });
    for (index_t n = 0; n < samples; ++n) {
      std::vector<std::pair<float, index_t>> scores;  // negated, so that they sort by falling score
      for (index_t g = 0; g < count; ++g) {
        std::vector<float> of_group(values.begin() + n * experts + g * size,
                                    values.begin() + n * experts + (g + 1) * size);
        std::sort(of_group.rbegin(), of_group.rend());
        scores.emplace_back(-(of_group[0] + (size > 1 ? of_group[1] : 0.0F)), g);
      }
      std::sort(scores.begin(), scores.end());
      for (index_t place = 0; place < count; ++place) {
        const index_t g = scores[as_size(place)].second;
        for (index_t e = g * size; e < (g + 1) * size; ++e) {
          const auto at = as_size(n * experts + e);
          EXPECT_EQ(got[at], place < kept ? values[at] : -std::numeric_limits<float>::infinity());
        }
      }
    }
  }
  device::Context context(1);
  std::vector<float> values(8);
  const tensor::Matrix view(values.data(), 1, 8);
  EXPECT_THROW(keep_best_groups(context, {3, 1}, view), ContractViolation);
  EXPECT_THROW(keep_best_groups(context, {4, 0}, view), ContractViolation);
  EXPECT_THROW(keep_best_groups(context, {4, 5}, view), ContractViolation);
  values[0] = std::nanf("");
  values[1] = 9;  // one number of the group
  values[6] = values[7] = 1;
  keep_best_groups(context, {4, 1}, view);
  EXPECT_EQ(values[6], 1) << "a group with a NaN is no better than another";
}

// A sigmoid of nearly 1 is told from 1, and one of nearly 0 does not overflow.
TEST(LogSigmoid, and_its_slope_have_their_digits_everywhere) {
  std::vector<float> x = random_values(60, 8, 5.0F);
  for (const float value : {0.0F, 16.0F, 40.0F, -16.0F, -86.0F, -120.0F, -30000.0F}) x.push_back(value);
  const auto columns = static_cast<index_t>(x.size());
  const std::vector<float> got = on_every_executor("log_sigmoid", [&](device::Context& context) {
    std::vector<float> both(2 * x.size(), 3.0F);
    log_sigmoid(context, {x.data(), 1, columns}, {both.data(), 1, columns});
    log_sigmoid_backward(context, {x.data(), 1, columns}, {both.data() + columns, 1, columns});
    return both;
  });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = x[i];
    const double expected = value < 0 ? value - std::log1p(std::exp(value)) : -std::log1p(std::exp(-value));
    EXPECT_NEAR(got[i], expected, 4e-7 * std::abs(expected)) << x[i];
    const double slope = 3 / (1 + std::exp(value));
    EXPECT_NEAR(got[x.size() + i], slope, 4e-7 * slope) << x[i];
  }
  device::Context context(1);
  std::vector<float> one = {std::nanf("")};
  log_sigmoid(context, {one.data(), 1, 1}, {one.data(), 1, 1});
  EXPECT_TRUE(std::isnan(one[0]));
}

TEST(Shares, add_up_to_1_and_a_scale_multiplies) {
  const std::vector<float> x = {0.5F, 0.25F, 0.25F, 3.0F, 1.0F, 0.0F, 0.0F, 0.0F, 0.0F};
  const auto of = [&](const auto& operation) {
    return on_every_executor("shares", [&](device::Context& context) {
      std::vector<float> y(x.size());
      operation(context, tensor::ConstMatrix(x.data(), 3, 3), tensor::Matrix(y.data(), 3, 3));
      return y;
    });
  };
  EXPECT_EQ(of([](auto& context, auto in, auto out) { shares(context, in, out); }),
            (std::vector{0.5F, 0.25F, 0.25F, 0.75F, 0.25F, 0.0F, 0.0F, 0.0F, 0.0F}));
  EXPECT_EQ(of([](auto& context, auto in, auto out) { scale(context, in, 2.5F, out); }),
            (std::vector{1.25F, 0.625F, 0.625F, 7.5F, 2.5F, 0.0F, 0.0F, 0.0F, 0.0F}));
}

TEST(GateWeights, of_the_largest_need_not_look_for_it) {
  for (const index_t experts : {2, 17, 300}) {
    constexpr index_t samples = 70;
    const std::vector<float> z = random_values(samples * experts, 23, 3.0F);
    device::Context context(1);
    std::vector<std::int32_t> chosen(as_size(samples));
    top_k(context, {z.data(), samples, experts}, 1, chosen.data());
    const auto weigh = [&](bool by_largest) {
      std::vector<float> w(as_size(2 * samples));
      std::vector<double> entropies(as_size(samples));
      gate_weights(context, {z.data(), samples, experts}, chosen.data(),
                   {{w.data(), samples, 1}, {w.data() + samples, samples, 1}, entropies, by_largest});
      w.insert(w.end(), entropies.begin(), entropies.end());
      return w;
    };
    EXPECT_EQ(weigh(true), weigh(false));
  }
}

}  // namespace
}  // namespace switchyard::ops
