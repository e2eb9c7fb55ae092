// The expected load under noise, its gradient, and what it is the expectation of.
#include "ops/moe/load.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"
#include "ops/moe/gating.hpp"
#include "ops/rows.hpp"

namespace switchyard::ops {
namespace {

struct Size {
  index_t samples, experts, slots;
};
const Size sizes[] = {{5, 2, 1}, {6, 8, 1}, {6, 8, 3}, {4, 33, 7}, {3, 64, 63}, {0, 4, 1}};

struct LoadData {
  Size size;
  float deviation;
  std::vector<float> clean, noise, noisy;
  std::vector<std::int32_t> chosen;

  LoadData(const Size& size_in, float deviation_in)
      : size(size_in),
        deviation(deviation_in),
        clean(random_values(size.samples * size.experts, 1)),
        noise(random_values(size.samples * size.experts, 2, deviation)),
        noisy(clean) {
    for (std::size_t i = 0; i < noisy.size(); ++i) noisy[i] += noise[i];
    choose();
  }
  void choose() {
    chosen.resize(as_size(size.samples * size.slots));
    device::Context context(1);
    top_k(context, {noisy.data(), size.samples, size.experts}, size.slots, chosen.data());
  }
  ExpectedLoad view() const {
    return {{clean.data(), size.samples, size.experts},
            {noisy.data(), size.samples, size.experts},
            chosen.data(),
            size.slots,
            deviation};
  }
  // Of one sample, from the definition.
  std::vector<double> chances(const std::vector<double>& c, const std::vector<double>& z) const {
    std::vector<double> result;
    for (std::size_t e = 0; e < c.size(); ++e) {
      std::vector<double> others = z;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(e));
      std::sort(others.rbegin(), others.rend());
      result.push_back(0.5 * std::erfc(-(c[e] - others[as_size(size.slots - 1)]) / deviation / std::sqrt(2.0)));
    }
    return result;
  }
  std::vector<double> row(const std::vector<float>& values, index_t n) const {
    return {values.begin() + n * size.experts, values.begin() + (n + 1) * size.experts};
  }
};

std::vector<float> chances_of(device::Context& context, const LoadData& data) {
  std::vector<float> chances(data.clean.size());
  expected_load(context, data.view(), {chances.data(), data.size.samples, data.size.experts});
  return chances;
}

template <class F>
void for_all_loads(const F& f) {
  for (const Size& size : sizes) {
    for (const float deviation : {0.1F, 1.5F}) {
      SCOPED_TRACE(std::to_string(size.slots) + " of " + std::to_string(size.experts) + ", deviation " +
                   std::to_string(deviation));
      f(LoadData(size, deviation));
    }
  }
}

TEST(ExpectedLoad, is_every_samples_chances) {
  for_all_loads([](const LoadData& data) {
    const std::vector<float> got =
        on_every_executor("expected_load", [&](device::Context& context) { return chances_of(context, data); });
    for (index_t n = 0; n < data.size.samples; ++n) {
      const std::vector<double> chances = data.chances(data.row(data.clean, n), data.row(data.noisy, n));
      // A distance is off by a rounding of the scores over s: 1e-7 * 3 / 0.1, and the density is below 0.4.
      for (index_t e = 0; e < data.size.experts; ++e)
        EXPECT_NEAR(got[as_size(n * data.size.experts + e)], chances[as_size(e)], 2e-6) << n << ", " << e;
    }
  });
}

TEST(ExpectedLoad, has_the_gradient_of_finite_differences_with_the_noise_held_fixed) {
  device::Context context(1);
  for_all_loads([&](const LoadData& data) {
    const std::vector<float> weights = random_values(data.size.experts, 3);
    const std::vector<double> gradient(weights.begin(), weights.end());
    const PaddedMatrix d_scores(std::vector<float>(data.clean.size(), 0.25F), data.size.samples,
                                data.size.experts, 3);
    expected_load_backward(context, data.view(), gradient, d_scores.view());
    EXPECT_TRUE(d_scores.padding_is_untouched());
    for (index_t n = 0; n < data.size.samples; ++n) {
      std::vector<double> c = data.row(data.clean, n);
      const std::vector<double> r = data.row(data.noise, n);
      const auto value = [&] {
        std::vector<double> z = c;
        for (std::size_t e = 0; e < z.size(); ++e) z[e] += r[e];
        const std::vector<double> chances = data.chances(c, z);
        return std::inner_product(chances.begin(), chances.end(), gradient.begin(), 0.0);
      };
      const std::vector<double> expected = testing::central_differences(c, value);
      for (index_t e = 0; e < data.size.experts; ++e) {
        // Slopes of up to 0.4 / s, of which up to 63 meet in a threshold.
        EXPECT_NEAR(d_scores.view()(n, e) - 0.25F, expected[as_size(e)], 1e-4 / data.deviation)
            << n << ", " << e;
      }
    }
  });
}

TEST(ExpectedLoad, has_a_gradient_with_the_same_bits_on_every_executor) {
  for_all_loads([](const LoadData& data) {
    const std::vector<float> weights = random_values(data.size.experts, 3);
    const std::vector<double> gradient(weights.begin(), weights.end());
    on_every_executor("expected_load_backward", [&](device::Context& context) {
      std::vector<float> d_scores(data.clean.size(), 0.25F);
      expected_load_backward(context, data.view(), gradient,
                             {d_scores.data(), data.size.samples, data.size.experts});
      return d_scores;
    });
  });
}

// Equal scores: whoever is chosen has an equal score to beat, and so has everyone else.
TEST(ExpectedLoad, of_equal_scores_is_one_half_each) {
  LoadData data({3, 6, 2}, 1.0F);
  std::ranges::fill(data.clean, 0.25F);
  data.noisy = data.clean;
  data.choose();
  device::Context context(1);
  for (const float chance : chances_of(context, data)) EXPECT_NEAR(chance, 0.5, 1e-6);
}

// What it is for: over many draws of all noise, P_e is the mean of the indicator "e is chosen".
TEST(ExpectedLoad, is_on_average_the_share_of_draws_that_choose_an_expert) {
  const index_t draws = 40000, experts = 5;
  const float deviation = 0.4F;
  LoadData data({draws, experts, 2}, deviation);
  const std::vector<float> scores = {0.3F, -0.2F, 0.0F, 0.5F, -0.9F};
  for (index_t i = 0; i < draws * experts; ++i) data.clean[as_size(i)] = scores[as_size(i % experts)];
  std::vector<index_t> ids(as_size(draws));
  std::iota(ids.begin(), ids.end(), 0);
  device::Context context(1);
  add_noise(context, {data.clean.data(), draws, experts}, ids, {NoiseSpread::normal, deviation, {.seed = 4}},
            {data.noisy.data(), draws, experts});
  data.choose();
  std::vector<double> expected(as_size(experts)), load(as_size(experts));
  const std::vector<float> chances = chances_of(context, data);
  for (std::size_t i = 0; i < chances.size(); ++i)
    expected[i % as_size(experts)] += static_cast<double>(chances[i]);
  for (const std::int32_t e : data.chosen) load[as_size(e)] += 1;
  for (index_t e = 0; e < experts; ++e) {
    EXPECT_NEAR(expected[as_size(e)], load[as_size(e)], 5 * 0.5 * std::sqrt(static_cast<double>(draws))) << e;
  }
}

TEST(ExpectedLoad, refuses_what_is_no_choice) {
  device::Context context(1);
  const LoadData data({3, 4, 2}, 1.0F);
  std::vector<double> sums(4);
  std::vector<float> chances(12);
  const tensor::Matrix found(chances.data(), 3, 4);
  ExpectedLoad all = data.view();
  all.slots = 4;
  EXPECT_THROW(expected_load(context, all, found), ContractViolation);
  ExpectedLoad without_noise = data.view();
  without_noise.deviation = 0;
  EXPECT_THROW(expected_load(context, without_noise, found), ContractViolation);
  EXPECT_THROW(expected_load(context, data.view(), {chances.data(), 3, 3}), ContractViolation);
  std::vector<float> d_scores(12);
  EXPECT_THROW(expected_load_backward(context, data.view(), sums, {d_scores.data(), 4, 3}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
