// The first layer of our image models in one pass: 3x3 convolution of few channels, [batch norm], ReLU, 2x2 max
// pooling. Several times faster than a library convolution, since nothing but the pooled result touches
// memory.
#pragma once

#include <cstdint>
#include <span>

#include "device/context.hpp"
#include "ops/moments.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Images are [in_channels][height][width], rows of a RowSource. Results are
// [out_channels][pooled_height][pooled_width].
struct FusedConvShape {
  index_t in_channels = 1;  // at most 4
  index_t height = 0;
  index_t width = 0;
  index_t out_channels = 1;
  index_t padding = 0;  // 0 or 1: a border of zeros around the image

  index_t conv_height() const { return height + 2 * padding - 2; }
  index_t conv_width() const { return width + 2 * padding - 2; }
  index_t pooled_height() const { return conv_height() / 2; }  // an odd last row or column is dropped
  index_t pooled_width() const { return conv_width() / 2; }
  index_t in_features() const { return in_channels * height * width; }
  index_t out_features() const { return out_channels * pooled_height() * pooled_width(); }
  index_t weight_count() const { return out_channels * in_channels * 9; }
  // Of one image: forward at the four places of each window, the gradient of the weights at its largest.
  index_t gradient_multiply_adds() const { return pooled_height() * pooled_width() * weight_count(); }
  index_t multiply_adds() const { return 4 * gradient_multiply_adds(); }
};

// Floats of workspace that a call with this many rows needs at most. The caller passes it, since a call may be
// a task of the pool, where the arena of the context has another owner. Contents do not matter before and
// after.
index_t fused_conv_workspace_floats(const FusedConvShape&, index_t rows);

// What batch norm needs to know of a tile's images, for its statistics and for its gradient. With x_k the pixel
// that weight k = (in channel, ky, kx) meets at a place of the convolution, z = bias + sum_k w_k x_k, and so
// sums of z, z^2 and z x_k over the places follow from sums of x_k and x_k x_k', which are the same for every
// output channel and every weight. For one input channel they cost a third of one convolution to eight
// channels, and no pass is needed later.
//
// Layout, P = 9 * in_channels: [places, pivot, sums [P], products [P][P]], of pixel - pivot. The pivot is the
// mean of the first image: without it, pixels far from zero would lose the digits that the variance is made of.
index_t conv_patch_sums_count(const FusedConvShape&);
void conv_patch_sums(device::Context&, const FusedConvShape&, tensor::RowSource images,
                     std::span<float> workspace, std::span<double> patch_sums);

// Moments of the convolution (with bias) per channel over all places, those that pooling drops too.
// moments: [out_channels].
void conv_moments(device::Context&, const FusedConvShape&, std::span<const double> patch_sums,
                  const float* weight, const float* bias, std::span<Moments> moments);

// out = maxpool(relu(scale_c * (conv + bias) + shift_c)), out [rows, out_features]. scale and shift may be null
// (1, 0). argmax_place[row, out_feature] in 0..3 is the place in the window (first on ties); needed by
// backward, may be null.
void fused_conv_forward(device::Context&, const FusedConvShape&, tensor::RowSource images, const float* weight,
                        const float* bias, const float* scale, const float* shift, tensor::Matrix out,
                        std::uint8_t* argmax_place);

// What forward left, and the gradient of its result.
struct PooledGradient {
  tensor::ConstMatrix out;
  const std::uint8_t* argmax_place = nullptr;
  tensor::ConstMatrix d_out;
};

// Gradient sums over the rows of one tile, without batch norm: d_weight [weight_count], d_bias [out_channels],
// written (not added).
void fused_conv_backward(device::Context&, const FusedConvShape&, tensor::RowSource images,
                         const PooledGradient&, std::span<float> workspace, float* d_weight, float* d_bias);

// With batch norm: y = gamma * xhat + beta, xhat = (z - mean) * inv_std, z = conv + bias.
struct ConvBatchNormView {
  const float* weight = nullptr;  // of the convolution
  const float* bias = nullptr;
  const double* mean = nullptr;  // [out_channels], of the global batch
  const double* inv_std = nullptr;
  const float* gamma = nullptr;
};
// The gradient sums of one tile, over rows and places; dy is the gradient at the batch norm's output (zero
// where not the window's maximum or where ReLU cut).
struct ConvTileGradient {
  std::span<double> sum_dy;       // [out_channels]: d_beta
  std::span<double> sum_dy_xhat;  // [out_channels]: d_gamma
  std::span<double> sum_dy_x;     // [weight_count]: of dy * (x_k - pivot), for the second pass
};
// First pass, per tile; patch_sums is what conv_patch_sums gave for the tile's images.
void fused_conv_bn_backward_sums(device::Context&, const FusedConvShape&, tensor::RowSource images,
                                 const ConvBatchNormView&, std::span<const double> patch_sums,
                                 const PooledGradient&, std::span<float> workspace,
                                 const ConvTileGradient& tile);
// Second pass, per tile, with the sums of the global batch divided by its number of places:
// d_conv = gamma * inv_std * (dy - mean_dy - xhat * mean_dy_xhat); d_weight [weight_count] is the tile's sum,
// written. It needs sums only, no image. (The gradient of the bias is zero.)
void fused_conv_bn_backward(device::Context&, const FusedConvShape&, const ConvBatchNormView&,
                            std::span<const double> patch_sums, const ConvTileGradient& tile,
                            std::span<const double> mean_dy, std::span<const double> mean_dy_xhat,
                            float* d_weight);

}  // namespace switchyard::ops
