#include "ops/ternary.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/convert.hpp"
#include "ops/matmul.hpp"

namespace switchyard::ops {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// The C library's: to nearest, ties to even.
double rounded_within(double x, double least, double most) {
  return std::clamp(std::nearbyint(x), least, most);
}

template <class Number>
struct Quantised {
  std::vector<Number> weights, rows;
  std::vector<float> gammas, scales;
};

// w [k, n] in `blocks`, x [m, k].
template <class Number>
Quantised<Number> quantise(device::Context& context, const std::vector<float>& w, const std::vector<float>& x,
                           index_t k, index_t blocks) {
  Quantised<Number> of{std::vector<Number>(w.size()), std::vector<Number>(x.size()),
                       std::vector<float>(as_size(blocks)), std::vector<float>(x.size() / as_size(k))};
  std::vector<double> sums(as_size(k * blocks));
  const SetMatrices weights{w.data(), 0, 1, k, static_cast<index_t>(w.size()) / k, blocks};
  mean_magnitudes(context, weights, sums, of.gammas);
  to_ternary<Number>(context, weights, of.gammas, of.weights);
  to_eight_bits<Number>(context, tensor::ConstMatrix(x.data(), std::ssize(of.scales), k), of.rows, of.scales);
  return of;
}

TEST(Ternary, equals_the_formulas) {
  for (const auto& [m, blocks, width, k] :
       {std::array<index_t, 4>{1, 1, 1, 1}, {3, 2, 5, 7}, {5, 3, 33, 40}, {2, 1, 70, 65}, {0, 2, 4, 3}}) {
    const index_t n = blocks * width;
    const std::vector<float> w = random_values(k * n, 1, 0.1F), x = random_values(m * k, 2, 3.0F);
    Quantised<float> got;
    on_every_executor("ternary", [&](device::Context& context) {
      got = quantise<float>(context, w, x, k, blocks);
      std::vector<float> all = got.weights;
      for (const auto& part : {got.rows, got.gammas, got.scales})
        all.insert(all.end(), part.begin(), part.end());
      return all;
    });
    for (index_t b = 0; b < blocks; ++b) {
      double sum = 0;
      for (index_t i = 0; i < k * width; ++i)
        sum += std::abs(static_cast<double>(w[as_size(i / width * n + b * width + i % width)]));
      const float gamma = got.gammas[as_size(b)];
      EXPECT_NEAR(static_cast<double>(gamma), sum / static_cast<double>(k * width), 1e-7 * sum);
      for (index_t i = 0; i < k * width; ++i) {
        const std::size_t at = as_size(i / width * n + b * width + i % width);
        EXPECT_EQ(static_cast<double>(got.weights[at]),
                  rounded_within(static_cast<double>(w[at] / gamma), -1, 1));
      }
    }
    for (index_t r = 0; r < m; ++r) {
      float largest = 0;
      for (index_t c = 0; c < k; ++c) largest = std::max(largest, std::abs(x[as_size(r * k + c)]));
      EXPECT_EQ(got.scales[as_size(r)], 127.0F / largest);
      for (index_t c = 0; c < k; ++c) {
        const std::size_t at = as_size(r * k + c);
        EXPECT_EQ(static_cast<double>(got.rows[at]),
                  rounded_within(static_cast<double>(x[at] * got.scales[as_size(r)]), -128, 127));
      }
    }
  }
}

TEST(Ternary, rounds_ties_to_even_and_leaves_nothing_out) {
  device::Context context(1);
  // The mean is 1.
  const std::vector<float> w = {0.5F, -0.5F, 1.5F, -1.5F, 0.0F, -0.0F, 2.0F, -2.0F};
  // The largest is 127, so that s = 1.
  const std::vector<float> x = {127.0F, 0.5F, -0.5F, 1.5F, 2.5F, -2.5F, -0.25F, -127.0F};
  const Quantised<float> got = quantise<float>(context, w, x, 8, 1);
  EXPECT_EQ(got.gammas, std::vector<float>{1.0F});
  EXPECT_TRUE(same_bits(got.weights, {0, 0, 1, -1, 0, 0, 1, -1}));
  EXPECT_EQ(got.scales, std::vector<float>{1.0F});
  EXPECT_TRUE(same_bits(got.rows, {127, 0, 0, 2, 2, -2, 0, -127}));
}

TEST(Ternary, of_zeros_and_small_numbers_is_finite) {
  device::Context context(1);
  const Quantised<float> zeros = quantise<float>(context, {0, 0}, {0, 0}, 2, 1);
  EXPECT_EQ(zeros.gammas, std::vector<float>{1e-5F});
  EXPECT_TRUE(same_bits(zeros.weights, {0, 0}));
  EXPECT_EQ(zeros.scales, std::vector<float>{127.0F / 1e-5F});
  EXPECT_TRUE(same_bits(zeros.rows, {0, 0}));
  const Quantised<float> small = quantise<float>(context, {6e-6F, 4e-6F}, {1e-6F, -4e-6F}, 2, 1);
  EXPECT_EQ(small.weights, (std::vector<float>{1, 0}));
  EXPECT_EQ(small.rows, (std::vector<float>{13, -51}));
}

// As whole numbers go on; what they are multiplied by does not.
TEST(Ternary, of_what_is_no_number_is_none) {
  device::Context context(1);
  for (const float bad : {nan, infinity, -infinity}) {
    const Quantised<std::int8_t> weight = quantise<std::int8_t>(context, {1, bad, 1, 1}, {1, 1, 1, bad}, 2, 2);
    EXPECT_EQ(weight.gammas[0], 1.0F);
    EXPECT_FALSE(std::isfinite(weight.gammas[1]));
    EXPECT_TRUE(std::isfinite(weight.scales[0]));
    EXPECT_TRUE(std::isnan(weight.scales[1]));
    std::vector<float> y = {5, 5, 5, 5};
    scale_products(context, {weight.gammas.data(), 2}, weight.scales, {y.data(), 2, 2});
    EXPECT_TRUE(std::isfinite(y[0]));
    for (const float value : {y[1], y[2], y[3]}) EXPECT_FALSE(std::isfinite(value));
  }
}

template <class Number>
std::vector<float> product(device::Context& context, const std::vector<float>& w, const std::vector<float>& x,
                           index_t k, index_t blocks) {
  const Quantised<Number> of = quantise<Number>(context, w, x, k, blocks);
  const index_t m = std::ssize(of.scales), n = static_cast<index_t>(w.size()) / k;
  std::vector<float> y(as_size(m * n));
  matmul({.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, of.rows.data(), of.weights.data(), y.data());
  scale_products(context, {of.gammas.data(), blocks}, of.scales, {y.data(), m, n});
  return y;
}

// Sums of one sign, too, which are the largest.
TEST(Ternary, products_have_the_same_bits_in_every_type) {
  device::Context context(1);
  for (const auto& [m, n, k] : {std::array<index_t, 3>{1, 1, 1},
                                {1, 6, 5},
                                {7, 432, 144},
                                {64, 96, 255},
                                {128, 144, 384},
                                {33, 48, 256},
                                {5, 10, 1000},
                                {2, 3, index_t{1} << 17}}) {
    for (const bool of_one_sign : {false, true}) {
      std::vector<float> w = random_values(k * n, 3), x = random_values(m * k, 4);
      if (of_one_sign) {
        std::ranges::fill(w, 1.0F);
        std::ranges::fill(x, -2.0F);
      }
      const index_t blocks = n % 2 == 0 ? 2 : 1;
      const std::vector<float> y = product<float>(context, w, x, k, blocks);
      EXPECT_TRUE(same_bits(product<bfloat16>(context, w, x, k, blocks), y)) << m << ' ' << n << ' ' << k;
      EXPECT_TRUE(same_bits(product<std::int8_t>(context, w, x, k, blocks), y)) << m << ' ' << n << ' ' << k;
      if (of_one_sign) {
        EXPECT_EQ(y[0], -127.0F * static_cast<float>(k) * (1.0F / 63.5F));
      }
    }
  }
}

TEST(Ternary, gradients_are_scaled_by_column_and_by_row) {
  const index_t rows = 5, cols = 66;
  const std::vector<float> d_y = random_values(rows * cols, 5), scales = {1, 2, 4, 0.5F, 3};
  const std::vector<float> gammas = {0.25F, 3};
  const auto got = on_every_executor("gradients", [&](device::Context& context) {
    std::vector<float> both(2 * d_y.size());
    const tensor::ConstMatrix d(d_y.data(), rows, cols);
    const Span<float> all(both.data(), 2 * rows * cols);
    times_gammas(context, {gammas.data(), 2}, d, all.first(d_y.size()));
    over_scales(context, scales, d, all.subspan(d_y.size()));
    std::vector<bfloat16> short_ones(d_y.size());
    times_gammas<bfloat16>(context, {gammas.data(), 2}, d, short_ones);
    EXPECT_EQ(to_float(short_ones[1]), to_float(to_bfloat16(both[1])));
    over_scales<bfloat16>(context, scales, d, short_ones);
    EXPECT_EQ(to_float(short_ones[1]), to_float(to_bfloat16(both[d_y.size() + 1])));
    return both;
  });
  for (index_t i = 0; i < rows * cols; ++i) {
    EXPECT_EQ(got[as_size(i)], d_y[as_size(i)] * gammas[as_size(i % cols / 33)]);
    EXPECT_FLOAT_EQ(got[as_size(rows * cols + i)], d_y[as_size(i)] / scales[as_size(i / cols)]);
  }
}

TEST(Ternary, sets_have_the_bits_of_each_alone) {
  const index_t sets = 3, k = 5, n = 6, blocks = 2, stride = k * n + 2, rows = 2 * granule_rows;
  const std::vector<float> w = random_values(sets * stride, 7), x = random_values(rows * n, 8);
  const std::vector<std::int32_t> set_of_granule = {2, 0};
  const auto got = on_every_executor("sets", [&](device::Context& context) {
    std::vector<double> sums(as_size(sets * k * blocks));
    std::vector<float> gammas(as_size(sets * blocks)), q(as_size(sets * k * n)), scales(as_size(rows), 2.0F);
    const SetMatrices of{w.data(), stride, sets, k, n, blocks};
    mean_magnitudes(context, of, sums, gammas);
    to_ternary<float>(context, of, gammas, q);
    std::vector<float> y = x, d(x.size());
    // Of rows that do not begin with a set's first.
    const index_t first = 1, count = rows - first;
    const Gammas of_rows{gammas.data(), blocks, {set_of_granule.data(), first}};
    scale_products(context, of_rows, Span<const float>(scales).subspan(first),
                   {y.data() + first * n, count, n});
    times_gammas<float>(context, of_rows, {x.data() + first * n, count, n}, {d.data() + first * n, count * n});
    std::vector<float> all = gammas;
    for (const auto& part : {q, y, d}) all.insert(all.end(), part.begin(), part.end());
    return all;
  });
  device::Context context(1);
  for (index_t set = 0; set < sets; ++set) {
    const std::vector<float> alone(w.begin() + set * stride, w.begin() + set * stride + k * n);
    const Quantised<float> of = quantise<float>(context, alone, random_values(k, 9), k, blocks);
    EXPECT_TRUE(std::equal(of.gammas.begin(), of.gammas.end(), got.begin() + set * blocks)) << set;
    EXPECT_TRUE(std::equal(of.weights.begin(), of.weights.end(), got.begin() + sets * blocks + set * k * n));
  }
  const float* const y = got.data() + sets * blocks + sets * k * n;
  const float* const d = y + rows * n;
  for (index_t row = 1; row < rows; ++row) {
    for (index_t c = 0; c < n; ++c) {
      const float gamma = got[as_size(set_of_granule[as_size(row / granule_rows)] * blocks + c / (n / blocks))];
      ASSERT_EQ(y[row * n + c], (x[as_size(row * n + c)] + 0.0F) * (gamma / 2.0F)) << row << ' ' << c;
      ASSERT_EQ(d[row * n + c], x[as_size(row * n + c)] * gamma) << row << ' ' << c;
    }
  }
}

TEST(Ternary, refuses_what_it_cannot_mean) {
  device::Context context(1);
  std::vector<float> w(12), gammas(5), q(12), scales(3);
  std::vector<double> sums(15);
  const SetMatrices of{w.data(), 12, 1, 3, 4, 5};
  EXPECT_THROW(mean_magnitudes(context, of, sums, gammas), ContractViolation);
  EXPECT_THROW(to_ternary<float>(context, of, gammas, q), ContractViolation);
  EXPECT_THROW(to_eight_bits<float>(context, tensor::ConstMatrix(w.data(), 4, 3), q, scales),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
