// The gate's noise: which number a sample gets, and how the numbers are spread.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/moe/gating.hpp"

namespace switchyard::ops {
namespace {

std::vector<index_t> counted_ids(index_t count, index_t first = 0) {
  std::vector<index_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

// [ids, experts], on logits of zero.
std::vector<float> noise_of(device::Context& context, const std::vector<index_t>& ids, index_t experts,
                            NoiseKey key, Noise kind = {}) {
  const auto rows = static_cast<index_t>(ids.size());
  const std::vector<float> zeros(static_cast<std::size_t>(rows * experts));
  std::vector<float> noise(zeros.size(), -1.0F);
  kind.key = key;
  add_noise(context, {zeros.data(), rows, experts}, ids, kind, {noise.data(), rows, experts});
  return noise;
}
std::vector<float> noise_of(const std::vector<index_t>& ids, index_t experts, NoiseKey key) {
  device::Context context(1);
  return noise_of(context, ids, experts, key);
}

double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - 0.5) * (b[i] - 0.5);
  return 12 * sum / static_cast<double>(a.size());
}

TEST(GateNoise, is_uniform_from_zero_to_below_one) {
  const index_t samples = 20000;
  const index_t experts = 8;
  const std::vector<float> noise = noise_of(counted_ids(samples), experts, {.seed = 1, .step = 5});
  const auto count = static_cast<double>(noise.size());
  double mean = 0, squares = 0;
  std::vector<int> tenths(10, 0);
  for (const float r : noise) {
    ASSERT_GE(r, 0.0F);
    ASSERT_LT(r, 1.0F);
    mean += r / count;
    squares += std::pow(r - 0.5, 2) / count;
    ++tenths[static_cast<std::size_t>(r * 10.0F)];
  }
  // Five standard deviations of the mean, of the variance (1/180 a number) and of a count.
  EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(1 / 12.0 / count));
  EXPECT_NEAR(squares, 1 / 12.0, 5 * std::sqrt(1 / 180.0 / count));
  for (const int found : tenths) EXPECT_NEAR(found, count / 10, 5 * std::sqrt(count * 0.09));
  // Every expert's column too, and no two of them alike.
  for (index_t a = 0; a < experts; ++a) {
    std::vector<float> column;
    for (index_t n = 0; n < samples; ++n) column.push_back(noise[static_cast<std::size_t>(n * experts + a)]);
    EXPECT_NEAR(std::accumulate(column.begin(), column.end(), 0.0) / samples, 0.5,
                5 * std::sqrt(1 / 12.0 / samples));
    for (index_t b = 0; b < a; ++b) {
      std::vector<float> other;
      for (index_t n = 0; n < samples; ++n) other.push_back(noise[static_cast<std::size_t>(n * experts + b)]);
      EXPECT_NEAR(correlation(column, other), 0, 5 / std::sqrt(samples)) << a << " and " << b;
    }
  }
}

TEST(GateNoise, is_uniform_up_to_its_scale) {
  device::Context context(1);
  const std::vector<float> unit = noise_of(context, counted_ids(50), 6, {.seed = 1});
  const std::vector<float> scaled = noise_of(context, counted_ids(50), 6, {.seed = 1}, {.scale = 0.25F});
  for (std::size_t i = 0; i < unit.size(); ++i) EXPECT_EQ(scaled[i], 0.25F * unit[i]);
}

TEST(GateNoise, is_normal_with_its_scale_for_standard_deviation) {
  device::Context context(1);
  for (const float scale : {1.0F, 0.125F}) {
    const std::vector<float> noise =
        noise_of(context, counted_ids(40000), 6, {.seed = 1, .step = 5}, {NoiseSpread::normal, scale});
    const auto count = static_cast<double>(noise.size());
    double moments[4] = {};
    int tail = 0, inner = 0;
    for (const float r : noise) {
      const double x = static_cast<double>(r) / scale;
      for (int m = 0; m < 4; ++m) moments[m] += std::pow(x, m + 1) / count;
      tail += std::abs(x) > 3 ? 1 : 0;
      inner += std::abs(x) < 0.6744897501960817 ? 1 : 0;
    }
    // Five standard deviations: the m-th power of a normal number has variance 1, 2, 15 and 96.
    EXPECT_NEAR(moments[0], 0, 5 * std::sqrt(1 / count));
    EXPECT_NEAR(moments[1], 1, 5 * std::sqrt(2 / count));
    EXPECT_NEAR(moments[2], 0, 5 * std::sqrt(15 / count));
    EXPECT_NEAR(moments[3], 3, 5 * std::sqrt(96 / count));
    EXPECT_NEAR(static_cast<double>(inner), count / 2, 5 * std::sqrt(count / 4));
    EXPECT_NEAR(static_cast<double>(tail), 0.0026998 * count, 5 * std::sqrt(0.0027 * count));
  }
}

TEST(GateNoise, is_added_to_the_logits) {
  device::Context context(1);
  const std::vector<float> logits = random_values(3 * 7, 1, 5.0F);
  const std::vector<index_t> ids = {5, 2, 900};
  const NoiseKey key{.seed = 3, .step = 2};
  const PaddedMatrix in(logits, 3, 7, 2);
  const PaddedMatrix noisy(3, 7, 4);
  add_noise(context, in.view(), ids, {.key = key}, noisy.view());
  const std::vector<float> noise = noise_of(ids, 7, key);
  for (index_t n = 0; n < 3; ++n) {
    for (index_t e = 0; e < 7; ++e) {
      const auto place = static_cast<std::size_t>(n * 7 + e);
      EXPECT_EQ(noisy.view()(n, e), logits[place] + noise[place]);
    }
  }
  EXPECT_TRUE(noisy.padding_is_untouched());
}

TEST(GateNoise, belongs_to_the_sample_and_not_to_its_place) {
  const NoiseKey key{.seed = 9, .step = 4, .stream = 1};
  const std::vector<float> all = noise_of(counted_ids(50), 6, key);
  const std::vector<index_t> some = {49, 7, 7, 0, 23};
  const std::vector<float> found = noise_of(some, 6, key);
  for (std::size_t i = 0; i < some.size(); ++i) {
    const auto from = all.begin() + 6 * some[i];
    EXPECT_TRUE(std::equal(from, from + 6, found.begin() + static_cast<index_t>(6 * i)))
        << "sample " << some[i];
  }
}

// Two keys, or two samples, that differ in one thing have nothing in common.
TEST(GateNoise, is_another_for_another_seed_step_stream_or_sample) {
  const NoiseKey key{.seed = 9, .step = 4, .stream = 1};
  const std::vector<float> noise = noise_of(counted_ids(1000), 6, key);
  EXPECT_EQ(noise_of(counted_ids(1000), 6, key), noise);
  const double bound = 5 / std::sqrt(static_cast<double>(noise.size()));
  const auto expect_unlike = [&](const std::vector<float>& other, const char* what) {
    EXPECT_NEAR(correlation(other, noise), 0, bound) << what;
    int equal = 0;
    for (std::size_t i = 0; i < noise.size(); ++i) equal += noise[i] == other[i] ? 1 : 0;
    EXPECT_LE(equal, 2) << what;
  };
  expect_unlike(noise_of(counted_ids(1000), 6, {.seed = 10, .step = 4, .stream = 1}), "seed");
  expect_unlike(noise_of(counted_ids(1000), 6, {.seed = 9 + (std::uint64_t{1} << 40U), .step = 4, .stream = 1}),
                "seed's upper half");
  expect_unlike(noise_of(counted_ids(1000), 6, {.seed = 9, .step = 5, .stream = 1}), "step");
  expect_unlike(noise_of(counted_ids(1000), 6, {.seed = 9, .step = 4, .stream = 0}), "stream");
  expect_unlike(noise_of(counted_ids(1000, 1000), 6, key), "samples");
  expect_unlike(noise_of(counted_ids(1000, index_t{1} << 39), 6, key), "samples with large ids");
  expect_unlike(noise_of(counted_ids(1000), 6,
                         {.seed = 9, .step = std::numeric_limits<std::uint32_t>::max(), .stream = 1}),
                "the last step");
}

// Sample, block of experts and stream share a counter: no two of them may meet in it.
TEST(GateNoise, has_no_two_rows_alike_at_the_ends_of_its_ranges) {
  std::set<std::vector<float>> rows;
  std::size_t count = 0;
  for (const std::uint32_t stream : {0U, 1U, 2U, 3U}) {
    for (const index_t id : {index_t{0}, index_t{1}, index_t{1} << 20, (index_t{1} << 40) - 1}) {
      const std::vector<float> row = noise_of({id}, 4 * 3000, {.seed = 1, .stream = stream});
      for (std::size_t block = 0; block < 3000; ++block, ++count) {
        rows.insert(
            {row.begin() + static_cast<index_t>(4 * block), row.begin() + static_cast<index_t>(4 * block + 4)});
      }
    }
  }
  EXPECT_EQ(rows.size(), count);
}

TEST(GateNoise, of_an_expert_does_not_depend_on_how_many_there_are) {
  const std::vector<float> eight = noise_of(counted_ids(20), 8, {.seed = 2});
  for (const index_t experts : {1, 3, 5}) {
    const std::vector<float> few = noise_of(counted_ids(20), experts, {.seed = 2});
    for (index_t n = 0; n < 20; ++n) {
      for (index_t e = 0; e < experts; ++e) {
        EXPECT_EQ(few[static_cast<std::size_t>(n * experts + e)], eight[static_cast<std::size_t>(n * 8 + e)]);
      }
    }
  }
}

TEST(GateNoise, has_the_same_bits_on_every_executor) {
  for (const index_t experts : {1, 4, 7, 33}) {
    for (const index_t rows : {0, 1, 9}) {
      on_every_executor(std::to_string(experts) + " experts", [&](device::Context& context) {
        return noise_of(context, counted_ids(rows, 77), experts, {.seed = 4, .step = 1, .stream = 3});
      });
      on_every_executor(std::to_string(experts) + " experts, normal", [&](device::Context& context) {
        return noise_of(context, counted_ids(rows, 77), experts, {.seed = 4, .step = 1, .stream = 3},
                        {NoiseSpread::normal, 0.3F});
      });
    }
  }
}

TEST(GateNoise, refuses_ids_and_streams_that_do_not_fit) {
  EXPECT_THROW(noise_of(counted_ids(2), 3, {.stream = 4}), ContractViolation);
  device::Context context(1);
  std::vector<float> values(6);
  EXPECT_THROW(add_noise(context, {values.data(), 2, 3}, counted_ids(1), {}, {values.data(), 2, 3}),
               ContractViolation);
  EXPECT_THROW(add_noise(context, {values.data(), 2, 3}, counted_ids(2), {}, {values.data(), 3, 2}),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
