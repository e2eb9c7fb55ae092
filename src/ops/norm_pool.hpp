// What follows a convolution of many channels, in one pass: [batch norm], [a skip], [ReLU], [2x2 max pooling];
// and the order of an image's values.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/pooled.hpp"
#include "ops/tile_rows.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// [channels][height][width], as samples and dense layers have it, or [height][width][channels], as
// ops/conv2d.hpp has it.
enum class ImageOrder { channels_first, channels_last };

struct ImageSizes {
  index_t channels = 0;
  index_t places = 0;  // height * width
};
// out row r holds, in order `to`, the image in row r of `images`, which is in the other order.
void reorder_images(device::Context&, tensor::RowSource images, ImageSizes sizes, ImageOrder to,
                    tensor::Matrix out);

// y[row][c] = the mean of channel c over the places of the image in row `row` of x, which is in `order`; added
// in the order of places. And the gradient: d_y / places at each of them.
void average_places(device::Context&, tensor::ConstMatrix x, ImageSizes sizes, ImageOrder order,
                    tensor::Matrix y);
void average_places_backward(device::Context&, tensor::ConstMatrix d_y, ImageSizes sizes, ImageOrder order,
                             tensor::Matrix d_x);

// relu6: min(max(x, 0), 6).
enum class ImageActivation { none, relu, relu6 };

// z, the convolution, is [rows][height][width][channels]; the result [rows] in `out_order`.
struct NormPoolShape {
  index_t height = 0;
  index_t width = 0;
  index_t channels = 0;
  ImageActivation activation = ImageActivation::none;
  bool max_pool = false;  // an odd last row or column is dropped
  ImageOrder out_order = ImageOrder::channels_last;

  index_t places() const { return height * width; }
  index_t out_height() const { return max_pool ? height / 2 : height; }
  index_t out_width() const { return max_pool ? width / 2 : width; }
  index_t in_features() const { return places() * channels; }
  index_t out_features() const { return out_height() * out_width() * channels; }
};

// What follows is for some rows of a batch, with the norm of each one's set; all views have the rows of the
// batch.

// Moments of each sample, of_rows [rows][channels]: its places in float32 around their mean, what follows in
// float64.
void channel_moments(device::Context&, const NormPoolShape&, TileRows rows, tensor::ConstMatrix z,
                     Span<Moments> of_rows);
// Those of each tile's samples, merged in the order of the rows: [tiles][channels].
void merge_moments(device::Context&, TileView tiles, Span<const Moments> of_rows, Span<Moments> of_tiles);

// result.out = maxpool(activation(scale_c * z + shift_c + skip)). result.argmax_place is channels last; null
// without pooling. skip: [rows] as z, or null; only without pooling.
void norm_pool_forward(device::Context&, const NormPoolShape&, TileRows rows, tensor::ConstMatrix z,
                       const Affine&, const PooledResult& result, tensor::ConstMatrix skip = {});

// The convolution, and what pooling it gave.
struct NormPoolRows {
  tensor::Matrix z;
  PooledGradient pooled;
};

// First pass of backward, with batch norm. dy is the gradient at the norm's output: zero where not the window's
// maximum or where ReLU cut. Sums over places of each sample: of_rows [rows][2][channels], of dy and of dy (z -
// mean).
void norm_pool_backward_sums(device::Context&, const NormPoolShape&, TileRows rows, const NormView&,
                             const NormPoolRows&, Span<double> of_rows);
// Over each tile's samples, in their order: [tiles][2][channels], of dy (the gradient of beta) and of dy xhat
// (of gamma).
void add_backward_sums(device::Context&, TileView tiles, const NormView&, Span<const double> of_rows,
                       Span<double> of_tiles);

// The gradient of skip, d_skip [rows] as z, is written or added to: that of the result where the activation let
// it through. Without pooling. Rows of padding stay as they are.
enum class SkipGradient { written, added };
void skip_gradient(device::Context&, const NormPoolShape&, TileRows rows, const PooledGradient&,
                   tensor::Matrix d_skip, SkipGradient how);

// Second pass: z becomes its own gradient,
//   gamma * inv_std * (dy - mean_dy - xhat * mean_dy_xhat)   with batch norm, the means over the whole batch,
//   dy                                                       without (all of `norm` null).
// The gradient of padding, which the norm has not seen, is zero.
void norm_pool_backward(device::Context&, const NormPoolShape&, TileRows rows, const NormView& norm,
                        const NormPoolRows&);

}  // namespace switchyard::ops
