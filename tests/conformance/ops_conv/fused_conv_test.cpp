// Every op of the fused convolution against the float64 reference, over shapes with all kinds of tails.
#include "ops/fused_conv.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.hpp"
#include "support/conv_case.hpp"

namespace switchyard::ops {
namespace {

using reference::Doubles;
using testing::ConvCase;
using testing::to_doubles;
using testing::Values;

struct Problem {
  FusedConvShape shape;  // in channels, height, width, out channels, padding
  index_t rows;
};

// The smallest image, odd sizes, one to four packs per row, sizes at and next to a pack's end, every channel
// count; no row, one row, whole and broken chunks of eight rows.
const Problem problems[] = {
    {{1, 28, 28, 8}, 3},    {{1, 28, 28, 1}, 9},   {{1, 4, 4, 1}, 1},     {{1, 4, 4, 3}, 17},
    {{2, 5, 7, 2}, 8},      {{3, 27, 29, 5}, 2},   {{4, 9, 34, 3}, 2},    {{1, 34, 4, 2}, 2},
    {{3, 32, 32, 4}, 1},    {{1, 6, 35, 2}, 2},    {{1, 5, 66, 1}, 2},    {{2, 4, 69, 2}, 1},
    {{4, 7, 130, 1}, 1},    {{1, 28, 28, 8}, 0},   {{2, 29, 27, 7}, 10},  {{4, 4, 5, 1}, 3},
    {{1, 33, 33, 1}, 2},    {{1, 36, 36, 2}, 2},   {{1, 37, 37, 2}, 2},   {{3, 32, 32, 4, 1}, 9},
    {{1, 2, 2, 3, 1}, 2},   {{2, 5, 7, 2, 1}, 8},  {{1, 3, 31, 2, 1}, 3}, {{4, 30, 62, 1, 1}, 1},
    {{1, 29, 29, 2, 1}, 1}, {{2, 6, 33, 1, 1}, 2},
};

std::string name(const Problem& p) {
  const FusedConvShape& s = p.shape;
  return std::to_string(p.rows) + " images of " + std::to_string(s.in_channels) + " x " +
         std::to_string(s.height) + " x " + std::to_string(s.width) + " to " + std::to_string(s.out_channels) +
         " channels, padding " + std::to_string(s.padding);
}

// |actual - expected| <= tolerance * (1 + largest |expected|): the sums cancel, so a value is held to the size
// of all.
template <class Actual>
void expect_close(const Actual& actual, const Doubles& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  double size = 1;
  for (const double value : expected) size = std::max(size, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], tolerance * size) << "at " << i;
  }
}

// Float sums of a few thousand terms err by about the square root of that in units of 6e-8.
constexpr double sum_tolerance = 3e-6;

TEST(FusedConv, forward_is_exact_on_integers_and_gives_ties_to_the_first) {
  device::Context context(1);
  for (const Problem& p : problems) {
    SCOPED_TRACE(name(p));
    ConvCase c(p.shape, p.rows, Values::integer);
    c.forward(context);
    const auto sizes = c.sizes();
    const auto expected = reference::pool(
        sizes, reference::affine(sizes, c.reference_conv(), to_doubles(c.scale), to_doubles(c.shift)));
    EXPECT_EQ(to_doubles(c.out), expected.out);
    EXPECT_EQ(std::vector<int>(c.argmax_place.begin(), c.argmax_place.end()), expected.argmax_place);
  }
}

TEST(FusedConv, forward_is_close_on_real_values) {
  device::Context context(1);
  for (const Problem& p : problems) {
    SCOPED_TRACE(name(p));
    ConvCase c(p.shape, p.rows, Values::real);
    c.forward(context);
    const auto sizes = c.sizes();
    const auto expected = reference::pool(
        sizes, reference::affine(sizes, c.reference_conv(), to_doubles(c.scale), to_doubles(c.shift)));
    expect_close(c.out, expected.out, 1e-6);
  }
}

TEST(FusedConv, forward_takes_no_scale_no_shift_and_no_winner_and_keeps_to_its_columns) {
  device::Context context(1);
  ConvCase c({1, 11, 12, 3}, 4, Values::integer);
  const index_t cols = c.shape.out_features();
  const index_t stride = cols + 5;
  testing::Floats out(static_cast<std::size_t>(4 * stride), -7.0F);
  fused_conv_forward(context, c.shape, c.tiles(), c.source(), {c.weight.data(), c.bias.data()},
                     {tensor::Matrix(out.data(), 4, cols, stride)});
  const auto expected = reference::pool(c.sizes(), c.reference_conv());
  for (index_t row = 0; row < 4; ++row) {
    for (index_t i = 0; i < stride; ++i) {
      const double value = i < cols ? expected.out[static_cast<std::size_t>(row * cols + i)] : -7.0;
      ASSERT_EQ(static_cast<double>(out[static_cast<std::size_t>(row * stride + i)]), value)
          << row << ", " << i;
    }
  }
}

TEST(FusedConv, forward_lets_a_nan_through) {
  device::Context context(1);
  ConvCase c({1, 28, 28, 2}, 1, Values::real);
  c.images[13 * 28 + 13] = std::numeric_limits<float>::quiet_NaN();
  c.forward(context);
  EXPECT_TRUE(std::any_of(c.out.begin(), c.out.end(), [](float value) { return std::isnan(value); }));
}

TEST(FusedConv, backward_is_exact_on_integers) {
  device::Context context(1);
  for (const Problem& p : problems) {
    SCOPED_TRACE(name(p));
    ConvCase c(p.shape, p.rows, Values::integer);
    c.forward(context);
    c.backward(context);
    const auto d_places = reference::pool_backward(c.sizes(), c.pooled_result(), to_doubles(c.d_out));
    const auto expected = reference::convolve_backward(c.sizes(), to_doubles(c.images), d_places);
    EXPECT_EQ(to_doubles(c.d_weight()), expected.weight);
    EXPECT_EQ(to_doubles(c.d_bias()), expected.bias);
  }
}

TEST(FusedConv, backward_is_close_on_real_values) {
  device::Context context(1);
  for (const Problem& p : problems) {
    SCOPED_TRACE(name(p));
    ConvCase c(p.shape, p.rows, Values::real);
    c.forward(context);
    c.backward(context);
    const auto d_places = reference::pool_backward(c.sizes(), c.pooled_result(), to_doubles(c.d_out));
    const auto expected = reference::convolve_backward(c.sizes(), to_doubles(c.images), d_places);
    expect_close(c.d_weight(), expected.weight, sum_tolerance);
    expect_close(c.d_bias(), expected.bias, sum_tolerance);
  }
}

// Images far from zero too: there the variance would drown in the rounding of the pixels' squares.
TEST(FusedConv, moments_match_two_passes_over_the_convolution) {
  device::Context context(1);
  for (const Problem& p : problems) {
    if (p.rows == 0) continue;
    for (const float offset : {0.0F, 1024.0F}) {
      SCOPED_TRACE(name(p) + ", pixels around " + std::to_string(offset));
      ConvCase c(p.shape, p.rows, Values::real);
      for (float& pixel : c.images) pixel += offset;
      c.compute_moments(context);
      const auto expected = reference::statistics(c.sizes(), c.reference_conv());
      const double places = static_cast<double>(p.rows * p.shape.conv_height() * p.shape.conv_width());
      for (std::size_t i = 0; i < c.moments.size(); ++i) {
        EXPECT_EQ(c.moments[i].count, places);
        EXPECT_NEAR(c.moments[i].mean, expected.mean[i], 1e-6 * (10 + static_cast<double>(offset)));
        EXPECT_NEAR(c.moments[i].m2, expected.centred_squares[i], 1e-5 * expected.centred_squares[i]);
      }
    }
  }
}

TEST(FusedConv, moments_of_a_constant_image_have_no_variance) {
  device::Context context(1);
  ConvCase c({1, 28, 28, 8}, 20, Values::real);
  c.images.assign(c.images.size(), 0.3F);
  c.compute_moments(context);
  for (const Moments& m : c.moments) EXPECT_NEAR(m.m2, 0, 1e-9);
}

TEST(FusedConv, merged_moments_are_those_of_all_rows) {
  device::Context context(1);
  const FusedConvShape shape{1, 12, 13, 2};
  ConvCase all(shape, 13, Values::real);
  all.compute_moments(context);
  ConvCase part(shape, 13, Values::real);
  Moments merged;  // an empty side first
  for (const auto& [first, rows] : {std::pair<index_t, index_t>{0, 5}, {5, 0}, {5, 7}, {12, 1}}) {
    part.compute_moments(context, part.source().rows_from(first, rows));
    merged = merge(merged, part.moments[1]);
  }
  EXPECT_EQ(merged.count, all.moments[1].count);
  EXPECT_NEAR(merged.mean, all.moments[1].mean, 1e-6);
  EXPECT_NEAR(merged.m2, all.moments[1].m2, 1e-5 * all.moments[1].m2);
}

// The statistics and the sums of the "global batch" are made up: a tile must not assume that they are its own.
TEST(FusedConv, batch_norm_backward_matches_the_dense_formula) {
  device::Context context(1);
  for (const Problem& p : problems) {
    for (const float offset : {0.0F, 256.0F}) {
      SCOPED_TRACE(name(p) + ", pixels around " + std::to_string(offset));
      ConvCase c(p.shape, p.rows, Values::real);
      for (float& pixel : c.images) pixel += offset;
      c.compute_moments(context);
      const auto sizes = c.sizes();
      const std::size_t channels = c.bias.size();
      for (std::size_t i = 0; i < channels; ++i) {
        const double std_dev = std::sqrt(c.moments[i].m2 / std::max(c.moments[i].count, 1.0) + 0.1);
        c.mean.push_back(c.moments[i].mean + 0.25);
        c.inv_std.push_back(1 / std_dev);
        // y = gamma * (z - mean) * inv_std + beta
        c.shift[i] -= static_cast<float>(static_cast<double>(c.scale[i]) * c.mean[i] / std_dev);
        c.mean_dy.push_back(0.01 * static_cast<double>(i + 1));
        c.mean_dy_xhat.push_back(-0.02 * static_cast<double>(i + 1));
      }
      const testing::Floats gamma = c.scale;
      for (std::size_t i = 0; i < channels; ++i) c.scale[i] *= static_cast<float>(c.inv_std[i]);
      c.forward(context);
      c.scale = gamma;
      c.backward_sums(context);
      c.bn_backward(context);

      const auto dy = reference::pool_backward(sizes, c.pooled_result(), to_doubles(c.d_out));
      Doubles centring(channels);
      for (std::size_t i = 0; i < channels; ++i) centring[i] = -c.mean[i] * c.inv_std[i];
      const auto xhat = reference::affine(sizes, c.reference_conv(), c.inv_std, centring);
      Doubles sum_dy(channels), sum_dy_xhat(channels), d_conv(dy.size());
      const std::size_t per_channel = static_cast<std::size_t>(sizes.conv_height() * sizes.conv_width());
      for (std::size_t i = 0; i < dy.size(); ++i) {
        const std::size_t channel = i / per_channel % channels;
        sum_dy[channel] += dy[i];
        sum_dy_xhat[channel] += dy[i] * xhat[i];
        d_conv[i] = static_cast<double>(gamma[channel]) * c.inv_std[channel] *
                    (dy[i] - c.mean_dy[channel] - xhat[i] * c.mean_dy_xhat[channel]);
      }
      expect_close(c.of_dy(), sum_dy, sum_tolerance);
      expect_close(c.of_dy_xhat(), sum_dy_xhat, sum_tolerance);
      expect_close(c.d_weight(), reference::convolve_backward(sizes, to_doubles(c.images), d_conv).weight,
                   sum_tolerance);
    }
  }
}

TEST(FusedConv, no_rows_give_zero_sums) {
  device::Context context(1);
  ConvCase c({1, 28, 28, 2}, 0, Values::real);
  c.mean = c.inv_std = c.mean_dy = c.mean_dy_xhat = {1.0, 2.0};
  c.forward(context);
  c.backward(context);
  EXPECT_EQ(c.d_weight(), testing::Floats(18, 0.0F));
  EXPECT_EQ(c.d_bias(), testing::Floats(2, 0.0F));
  c.compute_moments(context);
  EXPECT_EQ(c.patch_sums, std::vector<double>(c.patch_sums.size(), 0.0));
  for (const Moments& m : c.moments) {
    EXPECT_EQ(m.count, 0);
    EXPECT_EQ(m.mean, 0);
    EXPECT_EQ(m.m2, 0);
  }
  c.backward_sums(context);
  EXPECT_EQ(c.sum_dy, std::vector<double>(4, 0.0));
  c.bn_backward(context);
  EXPECT_EQ(c.d_weight(), testing::Floats(18, 0.0F));
}

TEST(FusedConv, refuses_what_it_cannot_do) {
  device::Context context(1);
  ConvCase c({1, 8, 8, 2}, 3, Values::real);
  c.shape.in_channels = 5;
  EXPECT_THROW(c.forward(context), ContractViolation);
  c.shape = {1, 3, 8, 2};
  EXPECT_THROW(c.forward(context), ContractViolation);
  c.shape = {1, 8, 8, 2, 2};
  EXPECT_THROW(c.forward(context), ContractViolation);
  c.shape = {1, 8, 8, 0};
  EXPECT_THROW(c.forward(context), ContractViolation);
  c.shape = {1, 8, 9, 2};  // not the images that the case holds
  tensor::RowSource images = c.source();
  images.cols = 64;
  EXPECT_THROW(c.forward(context, images), ContractViolation);
  c.shape = {1, 8, 8, 2};
  c.workspace.pop_back();
  EXPECT_THROW(c.backward(context), ContractViolation);
  EXPECT_THROW(c.compute_moments(context), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
