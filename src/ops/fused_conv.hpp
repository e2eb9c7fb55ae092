// The first layer of our image models in one pass: 3x3 convolution of few channels, [batch norm], ReLU, 2x2 max
// pooling. Several times faster than a library convolution, since nothing but the pooled result touches
// memory.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/of_sets.hpp"
#include "ops/pooled.hpp"
#include "ops/tiles.hpp"
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

// Of each set: [out_channels][in_channels][3][3] and [out_channels], and what is applied to their sum. A bias
// of null is zero.
struct ConvWeights {
  OfSets<const float> weight, bias;
  Affine affine = {};
};

// All calls are for the tiles of a view, each with the weights of its set. `images` and results have the rows
// of the batch.

// Floats of workspace that a tile of this many rows needs at most: a call needs those of `most_rows` rows for
// each of its tiles. The caller passes it, since a call may be a task of the pool, where the arena of the
// context has another owner. Contents do not matter before and after.
index_t fused_conv_workspace_floats(const FusedConvShape&, index_t rows);

// What a block of a GPU needs for this shape at least. On a CPU any shape will do.
index_t fused_conv_scratch_bytes(const FusedConvShape&);

// What batch norm needs to know of a tile's images, for its statistics and for its gradient. With x_k the pixel
// that weight k = (in channel, ky, kx) meets at a place of the convolution, z = bias + sum_k w_k x_k, and so
// sums of z, z^2 and z x_k over the places follow from sums of x_k and x_k x_k', which are the same for every
// output channel and every weight. For one input channel they cost a third of one convolution to eight
// channels, and no pass is needed later.
//
// Layout, P = 9 * in_channels: [places, pivot, sums [P], products [P][P]], of pixel - pivot. The pivot is the
// mean of the tile's first image: without it, pixels far from zero would lose the digits that the variance is
// made of. patch_sums: [tiles][conv_patch_sums_count], of each tile's samples.
index_t conv_patch_sums_count(const FusedConvShape&);
void conv_patch_sums(device::Context&, const FusedConvShape&, TileView tiles, tensor::RowSource images,
                     Span<float> workspace, Span<double> patch_sums);

// Moments of the convolution (with bias) per channel over all places, those that pooling drops too.
// moments: [tiles][out_channels].
void conv_moments(device::Context&, const FusedConvShape&, TileView tiles, Span<const double> patch_sums,
                  const ConvWeights&, Span<Moments> moments);

// result.out = maxpool(relu(scale_c * (conv + bias) + shift_c)). result.argmax_place is needed by backward, may
// be null.
void fused_conv_forward(device::Context&, const FusedConvShape&, TileView tiles, tensor::RowSource images,
                        const ConvWeights&, const PooledResult& result);

// Tiles, their images and what pooling them gave, and memory to work in.
struct ConvTiles {
  TileView tiles;
  tensor::RowSource images;
  PooledGradient pooled;
  Span<float> workspace;
};

// Gradient sums over the rows of each tile, without batch norm: gradients [tiles, weight_count + out_channels],
// written (not added).
void fused_conv_backward(device::Context&, const FusedConvShape&, const ConvTiles&, tensor::Matrix gradients);

// With batch norm, of z = conv + bias.
struct ConvBatchNormView {
  OfSets<const float> weight, bias;  // of the convolution
  NormView norm;
};

// What conv_patch_sums gave, and each tile's gradient sums over its samples and places; dy is the gradient at
// the batch norm's output (zero where not the window's maximum or where ReLU cut).
struct ConvTileSums {
  Span<const double> patch_sums;
  Span<double> sum_dy;    // [tiles][2][out_channels]: of dy, and of dy xhat
  Span<double> sum_dy_x;  // [tiles][weight_count]: of dy * (x_k - pivot), for the second pass
};
// First pass, per tile: the gradient sums, from the patch sums.
void fused_conv_bn_backward_sums(device::Context&, const FusedConvShape&, const ConvTiles&,
                                 const ConvBatchNormView&, const ConvTileSums&);
// Second pass, per tile, with the means of dy and dy xhat over the global batch:
// d_conv = gamma * inv_std * (dy - mean_dy - xhat * mean_dy_xhat); d_weight [tiles, weight_count] is the tile's
// sum, written. It needs sums only, no image. (The gradient of the bias is zero.)
void fused_conv_bn_backward(device::Context&, const FusedConvShape&, TileView tiles, const ConvBatchNormView&,
                            const ConvTileSums&, tensor::Matrix d_weight);

}  // namespace switchyard::ops
