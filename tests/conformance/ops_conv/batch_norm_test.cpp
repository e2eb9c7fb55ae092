// Batch norm over a whole batch against plain loops, bit for bit, on every executor.
#include "ops/batch_norm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/kernels/tree.hpp"
#include "ops/norm_pool.hpp"
#include "ops/reduce.hpp"

namespace switchyard::ops {
namespace {

using Doubles = std::vector<double>;

constexpr index_t channels = 5, tile_count = 12;
// Several tiles, none, one, and too few samples for running statistics.
const std::vector<SetTiles> sets = {{0, 7, 100}, {7, 7, 0}, {7, 8, 30}, {8, 12, 1}};

Doubles random_doubles(index_t count, unsigned seed) {
  const std::vector<float> values = random_values(count, seed);
  return {values.begin(), values.end()};
}

std::vector<Moments> random_moments() {
  const Doubles values = random_doubles(tile_count * channels * 2, 1);
  std::vector<Moments> moments;
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const double count = i % 6 == 0 ? 0 : 4.0 + static_cast<double>(i % 5);
    moments.push_back({count, count * values[i], std::abs(count * values[i + 1])});
  }
  return moments;
}

TEST(TreeSum, has_the_bits_of_the_recursive_tree) {
  for (index_t n = 0; n < 300; ++n) {
    const Doubles values = random_doubles(n, static_cast<unsigned>(n));
    EXPECT_EQ(kernels::tree_sum(n, [&](index_t i) { return values[as_size(i)]; }), sum_tree(values)) << n;
  }
}

// What is in force: mean, inv_std, scale, shift; and the running mean and variance, set by set.
struct Norm {
  std::vector<float> gamma = random_values(4 * channels, 2), beta = random_values(4 * channels, 3);
  std::vector<float> running_mean = random_values(4 * channels, 4),
                     running_variance = std::vector<float>(as_size(4 * channels), 2.0F);
  Doubles mean = Doubles(as_size(4 * channels)), inv_std = mean;
  std::vector<float> scale = gamma, shift = gamma;

  NormValues values() {
    return {{gamma.data(), channels},
            {beta.data(), channels},
            {running_mean.data(), channels},
            {running_variance.data(), channels}};
  }
  NormStatistics statistics() { return {channels, mean.data(), inv_std.data(), scale.data(), shift.data()}; }
  Doubles all() const {
    Doubles result = mean;
    result.insert(result.end(), inv_std.begin(), inv_std.end());
    for (const auto* part : {&scale, &shift, &running_mean, &running_variance})
      result.insert(result.end(), part->begin(), part->end());
    return result;
  }
  // The formulas, where mean and variance are those of set s and channel c.
  void set(std::size_t i, double mean_in, double variance) {
    mean[i] = mean_in;
    inv_std[i] = 1.0 / std::sqrt(variance + 1e-5);
    scale[i] = static_cast<float>(gamma[i] * inv_std[i]);
    shift[i] = static_cast<float>(beta[i] - gamma[i] * inv_std[i] * mean_in);
  }
};

TEST(BatchNormOps, statistics_of_a_batch_are_those_of_its_tiles_merged_in_order) {
  const std::vector<Moments> moments = random_moments();
  const Doubles got = on_every_executor("statistics", [&](device::Context& context) {
    Norm norm;
    use_batch_statistics(context, sets, moments, norm.values(), norm.statistics());
    return norm.all();
  });
  Norm expected;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (std::size_t c = 0; c < channels; ++c) {
      Moments batch;
      for (index_t tile = sets[s].begin; tile < sets[s].end; ++tile)
        batch = merge(batch, moments[as_size(tile * channels) + c]);
      const std::size_t i = s * channels + c;
      expected.set(i, batch.mean, batch.m2 / std::max(batch.count, 1.0));
      if (sets[s].samples < 2) continue;
      const double unbiased = batch.m2 / std::max(batch.count - 1.0, 1.0);
      expected.running_mean[i] = static_cast<float>((1.0 - 0.1) * expected.running_mean[i] + 0.1 * batch.mean);
      expected.running_variance[i] =
          static_cast<float>((1.0 - 0.1) * expected.running_variance[i] + 0.1 * unbiased);
    }
  }
  EXPECT_TRUE(same_bits(got, expected.all()));
}

TEST(BatchNormOps, evaluation_takes_the_running_values) {
  const Doubles got = on_every_executor("statistics", [&](device::Context& context) {
    Norm norm;
    use_running_statistics(context, 4, norm.values(), norm.statistics());
    return norm.all();
  });
  Norm expected;
  for (std::size_t i = 0; i < expected.mean.size(); ++i)
    expected.set(i, expected.running_mean[i], expected.running_variance[i]);
  EXPECT_TRUE(same_bits(got, expected.all()));
}

TEST(BatchNormOps, means_are_those_of_the_tree_over_a_sets_tiles) {
  const Doubles sums = random_doubles(tile_count * 2 * channels, 5);
  const Doubles got = on_every_executor("means", [&](device::Context& context) {
    Doubles means(as_size(2 * 4 * channels));
    join_backward_sums(context, sets, channels, 9, sums, {means.data(), means.data() + 4 * channels});
    return means;
  });
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (std::size_t i = 0; i < 2 * channels; ++i) {
      Doubles column;
      for (index_t tile = sets[s].begin; tile < sets[s].end; ++tile)
        column.push_back(sums[as_size(tile * 2 * channels) + i]);
      const std::size_t c = i % channels;
      EXPECT_EQ(got[(i < channels ? 0 : 4 * channels) + s * channels + c],
                sum_tree(column) / std::max(static_cast<double>(sets[s].samples * 9), 1.0));
    }
  }
}

TEST(BatchNormOps, gradients_are_zeros_for_the_bias_then_gammas_then_betas) {
  const Doubles sums = random_doubles(3 * 2 * channels, 6);
  const auto got = on_every_executor("gradients", [&](device::Context& context) {
    std::vector<float> gradients(3 * 20, 7.0F);
    norm_gradients(context, channels, sums, 4, {gradients.data(), 3, 14, 20});
    return gradients;
  });
  for (std::size_t tile = 0; tile < 3; ++tile) {
    const double* const of_tile = sums.data() + tile * 2 * channels;
    for (std::size_t i = 0; i < 20; ++i) {
      double expected = 7;  // not written
      if (i < 4) expected = 0;
      if (i >= 4 && i < 9) expected = of_tile[channels + i - 4];
      if (i >= 9 && i < 14) expected = of_tile[i - 9];
      EXPECT_EQ(got[tile * 20 + i], static_cast<float>(expected));
    }
  }
}

TEST(BatchNormOps, refuse_sizes_that_do_not_fit) {
  device::Context context(1);
  Norm norm;
  std::vector<float> gradients(30);
  EXPECT_THROW(use_batch_statistics(context, sets, std::vector<Moments>(6), norm.values(), norm.statistics()),
               ContractViolation);
  EXPECT_THROW(join_backward_sums(context, sets, channels, 1, Doubles(15), {}), ContractViolation);
  EXPECT_THROW(norm_gradients(context, channels, Doubles(20), 0, {gradients.data(), 2, 11}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
