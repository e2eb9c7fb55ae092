// Gradients of the fused convolution against central differences of the float64 reference, the whole chain:
// convolution, [batch norm with the statistics of the batch], ReLU, pooling, a fixed linear loss. The batch is
// two tiles, as a caller runs it: moments merged, sums added, each tile's weight gradient added.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/conv_case.hpp"

namespace switchyard::ops {
namespace {

using reference::Doubles;
using testing::ConvCase;
using testing::to_doubles;
using testing::Values;

// Half of the step is far below the distance to a kink of ReLU or pooling (checked by the seeds: a crossed kink
// is an error of the size of a gradient entry) and far above float64 rounding.
constexpr double difference_step = 1e-6;
// Rounding of the float32 kernels, relative to the largest gradient entry; differences err by less than 1e-8.
constexpr double tolerance = 2e-5;
constexpr double epsilon = 1e-5;  // of batch norm

const FusedConvShape shapes[] = {{1, 28, 28, 3}, {3, 7, 9, 2}, {2, 8, 8, 4}, {3, 7, 8, 2, 1}};
constexpr index_t tile_rows[] = {9, 4};

struct Batch {
  explicit Batch(const FusedConvShape& shape) {
    for (const index_t rows : tile_rows) {
      tiles.emplace_back(shape, rows, Values::real, static_cast<unsigned>(rows));
      tiles.back().weight = tiles[0].weight;
      tiles.back().bias = tiles[0].bias;
      tiles.back().scale = tiles[0].scale;
      tiles.back().shift = tiles[0].shift;
    }
  }
  std::vector<ConvCase> tiles;
};

struct Parameters {
  Doubles weight, bias, gamma, beta;
};
Parameters parameters(const Batch& batch) {
  const ConvCase& c = batch.tiles[0];
  return {to_doubles(c.weight), to_doubles(c.bias), to_doubles(c.scale), to_doubles(c.shift)};
}

enum class Norm { none, batch };

// sum of d_out * out over the batch, in float64.
double loss(const Batch& batch, const Parameters& p, Norm norm) {
  const std::size_t channels = p.bias.size();
  std::vector<Doubles> places;
  Doubles mean(channels), square(channels), scale(channels, 1.0), shift(channels, 0.0);
  double count = 0;
  for (const ConvCase& tile : batch.tiles) {
    places.push_back(reference::convolve(tile.sizes(), to_doubles(tile.images), p.weight, p.bias));
    const auto s = reference::statistics(tile.sizes(), places.back());
    const double n = static_cast<double>(tile.rows * tile.shape.conv_height() * tile.shape.conv_width());
    for (std::size_t c = 0; c < channels; ++c) {
      mean[c] += s.mean[c] * n;
      square[c] += s.centred_squares[c] + n * s.mean[c] * s.mean[c];
    }
    count += n;
  }
  for (std::size_t c = 0; c < channels && norm == Norm::batch; ++c) {
    mean[c] /= count;
    scale[c] = p.gamma[c] / std::sqrt(square[c] / count - mean[c] * mean[c] + epsilon);
    shift[c] = p.beta[c] - scale[c] * mean[c];
  }
  double sum = 0;
  for (std::size_t t = 0; t < batch.tiles.size(); ++t) {
    const ConvCase& tile = batch.tiles[t];
    const auto pooled = reference::pool(tile.sizes(), reference::affine(tile.sizes(), places[t], scale, shift));
    for (std::size_t i = 0; i < pooled.out.size(); ++i)
      sum += static_cast<double>(tile.d_out[i]) * pooled.out[i];
  }
  return sum;
}

void expect_differences(const Batch& batch, Norm norm, Doubles Parameters::*which, const Doubles& gradient) {
  Parameters p = parameters(batch);
  double size = 1;
  for (const double value : gradient) size = std::max(size, std::abs(value));
  ASSERT_EQ((p.*which).size(), gradient.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double value = (p.*which)[i];
    (p.*which)[i] = value + difference_step;
    const double above = loss(batch, p, norm);
    (p.*which)[i] = value - difference_step;
    const double below = loss(batch, p, norm);
    (p.*which)[i] = value;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * difference_step), tolerance * size) << "at " << i;
  }
}

void add(Doubles& sum, const std::vector<float>& part) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(part[i]);
}
void add(Doubles& sum, const std::vector<double>& part) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
}

TEST(FusedConvGradient, matches_differences_without_batch_norm) {
  device::Context context(2);
  for (const FusedConvShape& shape : shapes) {
    Batch batch(shape);
    Doubles d_weight(batch.tiles[0].weight.size()), d_bias(batch.tiles[0].bias.size());
    for (ConvCase& tile : batch.tiles) {
      tile.scale.assign(tile.scale.size(), 1.0F);
      tile.shift.assign(tile.shift.size(), 0.0F);
      tile.forward(context);
      tile.backward(context);
      add(d_weight, tile.d_weight());
      add(d_bias, tile.d_bias());
    }
    expect_differences(batch, Norm::none, &Parameters::weight, d_weight);
    expect_differences(batch, Norm::none, &Parameters::bias, d_bias);
  }
}

TEST(FusedConvGradient, matches_differences_with_batch_norm) {
  device::Context context(2);
  for (const FusedConvShape& shape : shapes) {
    Batch batch(shape);
    const Parameters p = parameters(batch);
    const std::size_t channels = p.bias.size();
    std::vector<Moments> moments(channels);
    for (ConvCase& tile : batch.tiles) {
      tile.compute_moments(context);
      for (std::size_t c = 0; c < channels; ++c) moments[c] = merge(moments[c], tile.moments[c]);
    }
    Doubles d_gamma(channels), d_beta(channels), d_weight(p.weight.size());
    for (ConvCase& tile : batch.tiles) {
      for (std::size_t c = 0; c < channels; ++c) {
        tile.mean.push_back(moments[c].mean);
        tile.inv_std.push_back(1 / std::sqrt(moments[c].m2 / moments[c].count + epsilon));
        tile.scale[c] = static_cast<float>(p.gamma[c] * tile.inv_std[c]);
        tile.shift[c] = static_cast<float>(p.beta[c] - p.gamma[c] * tile.inv_std[c] * tile.mean[c]);
      }
      tile.forward(context);
      for (std::size_t c = 0; c < channels; ++c) tile.scale[c] = static_cast<float>(p.gamma[c]);
      tile.backward_sums(context);
      add(d_beta, tile.of_dy());
      add(d_gamma, tile.of_dy_xhat());
    }
    for (ConvCase& tile : batch.tiles) {
      for (std::size_t c = 0; c < channels; ++c) {
        tile.shift[c] = static_cast<float>(p.beta[c]);
        tile.mean_dy.push_back(d_beta[c] / moments[c].count);
        tile.mean_dy_xhat.push_back(d_gamma[c] / moments[c].count);
      }
      tile.bn_backward(context);
      add(d_weight, tile.d_weight());
    }
    expect_differences(batch, Norm::batch, &Parameters::weight, d_weight);
    expect_differences(batch, Norm::batch, &Parameters::gamma, d_gamma);
    expect_differences(batch, Norm::batch, &Parameters::beta, d_beta);
    // The mean takes the bias out again.
    expect_differences(batch, Norm::batch, &Parameters::bias, Doubles(channels, 0.0));
  }
}

}  // namespace
}  // namespace switchyard::ops
