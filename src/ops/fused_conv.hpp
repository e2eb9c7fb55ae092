// The first layer of our image models in one pass: 3x3 valid convolution of few channels, [batch norm], ReLU, 2x2 max
// pooling. Several times faster than a library convolution, since nothing but the pooled result touches memory.
#pragma once

#include <cstdint>
#include <span>

#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Images are [in_channels][height][width], rows of a RowSource. Results are [out_channels][pooled_height][pooled_width].
struct FusedConvShape {
  index_t in_channels = 1;  // at most 4
  index_t height = 0;
  index_t width = 0;
  index_t out_channels = 1;

  index_t conv_height() const { return height - 2; }
  index_t conv_width() const { return width - 2; }
  index_t pooled_height() const { return conv_height() / 2; }  // an odd last row or column is dropped
  index_t pooled_width() const { return conv_width() / 2; }
  index_t in_features() const { return in_channels * height * width; }
  index_t out_features() const { return out_channels * pooled_height() * pooled_width(); }
  index_t weight_count() const { return out_channels * in_channels * 9; }
};

// count, mean and sum of squared deviations of one channel's convolution outputs, mergeable exactly in a fixed order
// (Chan, Golub and LeVeque 1979).
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;
};
Moments merge(const Moments& a, const Moments& b);

// Moments of the convolution (with bias) per channel over the rows, merged in row order. moments: [out_channels].
// The rows are one tile: the result depends on the tile's rows only.
void conv_moments(device::Context&, const FusedConvShape&, tensor::RowSource images, const float* weight,
                  const float* bias, std::span<Moments> moments);

// out = maxpool(relu(scale_c * (conv + bias) + shift_c)), out [rows, out_features]. scale and shift may be null (1, 0).
// winner[row, out_feature] in 0..3 is the place in the window (first on ties); needed by backward.
void fused_conv_forward(device::Context&, const FusedConvShape&, tensor::RowSource images, const float* weight,
                        const float* bias, const float* scale, const float* shift, tensor::Matrix out,
                        std::uint8_t* winner);

// Gradient sums over the rows of one tile, without batch norm: d_weight [weight_count], d_bias [out_channels],
// written (not added). d_out is the gradient of `out`.
void fused_conv_backward(device::Context&, const FusedConvShape&, tensor::RowSource images, tensor::ConstMatrix out,
                         const std::uint8_t* winner, tensor::ConstMatrix d_out, float* d_weight, float* d_bias);

// With batch norm: y = gamma * xhat + beta, xhat = (conv + bias - mean) * inv_std.
struct BatchNormView {
  const double* mean = nullptr;     // [out_channels], of the global batch
  const double* inv_std = nullptr;
  const float* gamma = nullptr;
};
// First pass, per tile: sum_dy[c] = sum of dy and sum_dy_xhat[c] = sum of dy * xhat over all rows and places, where dy
// is the gradient at the batch norm's output (zero where not the window's winner or where ReLU cut).
void fused_conv_bn_backward_sums(device::Context&, const FusedConvShape&, tensor::RowSource images,
                                 const float* weight, const float* bias, const BatchNormView&, tensor::ConstMatrix out,
                                 const std::uint8_t* winner, tensor::ConstMatrix d_out, std::span<double> sum_dy,
                                 std::span<double> sum_dy_xhat);
// Second pass, with the sums of the global batch divided by its number of places:
// d_conv = gamma * inv_std * (dy - mean_dy - xhat * mean_dy_xhat); d_weight [weight_count] is the tile's sum.
void fused_conv_bn_backward(device::Context&, const FusedConvShape&, tensor::RowSource images, const float* weight,
                            const float* bias, const BatchNormView&, std::span<const double> mean_dy,
                            std::span<const double> mean_dy_xhat, tensor::ConstMatrix out, const std::uint8_t* winner,
                            tensor::ConstMatrix d_out, float* d_weight);

}  // namespace switchyard::ops
