// One tile for the fused convolution: images, parameters, gradients and every result, with calls that fill
// them; and the same as float64 for the reference.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "ops/fused_conv.hpp"
#include "support/reference_conv.hpp"

namespace switchyard::testing {

using Floats = std::vector<float>;

inline reference::Doubles to_doubles(const Floats& values) { return {values.begin(), values.end()}; }

// Integer values make every sum exact, so that results can be compared for equality, and make ties.
enum class Values { real, integer };

struct ConvCase {
  ConvCase(ops::FusedConvShape shape_in, index_t rows_in, Values kind, unsigned seed = 1)
      : shape(shape_in), rows(rows_in), random(seed), values(kind) {
    images = fill(rows * shape.in_features(), 3);
    weight = fill(shape.weight_count(), 2);
    bias = fill(shape.out_channels, 2);
    scale = fill(shape.out_channels, 2);
    shift = fill(shape.out_channels, 2);
    d_out = fill(rows * shape.out_features(), 3);
    out.assign(d_out.size(), -1);
    argmax_place.assign(d_out.size(), 99);
    workspace.assign(static_cast<std::size_t>(ops::fused_conv_workspace_floats(shape, rows)), -1);
    patch_sums.assign(static_cast<std::size_t>(ops::conv_patch_sums_count(shape)), -1);
    moments.assign(bias.size(), {-1, -1, -1});
    sum_dy.assign(2 * bias.size(), -1);
    sum_dy_x.assign(weight.size(), -1);
    gradients.assign(weight.size() + bias.size(), -1);
  }

  // `count` values in [-limit, limit].
  Floats fill(index_t count, int limit) {
    Floats result(static_cast<std::size_t>(count));
    std::uniform_int_distribution<int> whole(-limit, limit);
    std::uniform_real_distribution<float> real(-static_cast<float>(limit), static_cast<float>(limit));
    for (float& value : result)
      value = values == Values::integer ? static_cast<float>(whole(random)) : real(random);
    return result;
  }

  tensor::RowSource source() const { return tensor::ConstMatrix(images.data(), rows, shape.in_features()); }
  ops::PooledGradient pooled() const {
    return {{out.data(), rows, shape.out_features()},
            argmax_place.data(),
            {d_out.data(), rows, shape.out_features()}};
  }
  // The first rows as a tile.
  ops::TileView tiles() { return tiles(rows); }
  ops::TileView tiles(index_t of) {
    tile = {0, static_cast<std::int32_t>(of), static_cast<std::int32_t>(of), 0};
    return {&tile, 1, of};
  }
  ops::ConvTiles conv_tiles(tensor::RowSource from) { return {tiles(), from, pooled(), workspace}; }
  ops::ConvBatchNormView batch_norm() const {
    return {weight.data(),
            bias.data(),
            {mean.data(), inv_std.data(), scale.data(), mean_dy.data(), mean_dy_xhat.data()}};
  }
  ops::ConvTileSums sums() { return {patch_sums, sum_dy, sum_dy_x}; }

  void forward(device::Context& context) { forward(context, source()); }
  void forward(device::Context& context, tensor::RowSource from) {
    ops::fused_conv_forward(context, shape, tiles(), from,
                            {weight.data(), bias.data(), {scale.data(), shift.data()}},
                            {{out.data(), rows, shape.out_features()}, argmax_place.data()});
  }
  void backward(device::Context& context) { backward(context, source()); }
  void backward(device::Context& context, tensor::RowSource from) {
    ops::fused_conv_backward(context, shape, conv_tiles(from),
                             {gradients.data(), 1, static_cast<index_t>(gradients.size())});
  }
  void compute_moments(device::Context& context) { compute_moments(context, source()); }
  void compute_moments(device::Context& context, tensor::RowSource from) {
    ops::conv_patch_sums(context, shape, tiles(from.rows), from, workspace, patch_sums);
    ops::conv_moments(context, shape, tiles(from.rows), patch_sums, {weight.data(), bias.data()}, moments);
  }
  void backward_sums(device::Context& context) { backward_sums(context, source()); }
  void backward_sums(device::Context& context, tensor::RowSource from) {
    ops::fused_conv_bn_backward_sums(context, shape, conv_tiles(from), batch_norm(), sums());
  }
  void bn_backward(device::Context& context) {
    ops::fused_conv_bn_backward(context, shape, tiles(), batch_norm(), sums(),
                                {gradients.data(), 1, static_cast<index_t>(weight.size())});
  }

  Floats d_weight() const {
    return {gradients.begin(), gradients.begin() + static_cast<std::ptrdiff_t>(weight.size())};
  }
  Floats d_bias() const {
    return {gradients.begin() + static_cast<std::ptrdiff_t>(weight.size()), gradients.end()};
  }
  // The halves of sum_dy.
  std::vector<double> of_dy() const { return half(0); }
  std::vector<double> of_dy_xhat() const { return half(1); }

  reference::ConvSizes sizes() const {
    return {
        static_cast<int>(rows),        static_cast<int>(shape.in_channels),  static_cast<int>(shape.height),
        static_cast<int>(shape.width), static_cast<int>(shape.out_channels), static_cast<int>(shape.padding)};
  }
  reference::Doubles reference_conv() const {
    return reference::convolve(sizes(), to_doubles(images), to_doubles(weight), to_doubles(bias));
  }
  // What forward wrote, so that a window whose places nearly tie has the same winner in the reference's
  // backward.
  reference::Pooled pooled_result() const {
    return {to_doubles(out), {argmax_place.begin(), argmax_place.end()}};
  }

  ops::FusedConvShape shape;
  index_t rows;
  std::mt19937 random;
  Values values;
  Floats images, weight, bias, scale, shift, d_out, out;
  std::vector<std::uint8_t> argmax_place;
  Floats workspace;
  std::vector<double> patch_sums;
  std::vector<ops::Moments> moments;
  std::vector<double> mean, inv_std, mean_dy, mean_dy_xhat;  // set by the test
  std::vector<double> sum_dy, sum_dy_x;
  Floats gradients;  // of weight and bias
  ops::Tile tile{};

 private:
  std::vector<double> half(std::ptrdiff_t number) const {
    const auto channels = static_cast<std::ptrdiff_t>(bias.size());
    return {sum_dy.begin() + number * channels, sum_dy.begin() + (number + 1) * channels};
  }
};

}  // namespace switchyard::testing
