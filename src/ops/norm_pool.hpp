// What follows a convolution of many channels, in one pass: [batch norm], [ReLU], [2x2 max pooling]; and the
// order of an image's values.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/pooled.hpp"
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

// z, the convolution, is [rows][height][width][channels]; the result [rows] in `out_order`.
struct NormPoolShape {
  index_t height = 0;
  index_t width = 0;
  index_t channels = 0;
  bool relu = false;
  bool max_pool = false;  // an odd last row or column is dropped
  ImageOrder out_order = ImageOrder::channels_last;

  index_t places() const { return height * width; }
  index_t out_height() const { return max_pool ? height / 2 : height; }
  index_t out_width() const { return max_pool ? width / 2 : width; }
  index_t in_features() const { return places() * channels; }
  index_t out_features() const { return out_height() * out_width() * channels; }
};

// Moments of each row, [rows][channels]: a row's places in float32 around their mean, what follows in float64.
void channel_moments(device::Context&, const NormPoolShape&, tensor::ConstMatrix z, Span<Moments> of_rows);
// Merged in the order of the rows; [channels].
void merge_moments(device::Context&, Span<const Moments> of_rows, Span<Moments> moments);

// result.out = maxpool(relu(scale_c * z + shift_c)). result.argmax_place is channels last; null without
// pooling.
void norm_pool_forward(device::Context&, const NormPoolShape&, tensor::ConstMatrix z, const Affine&,
                       const PooledResult& result);

// Rows of z, and what pooling them gave. Rows from `samples` on are padding, which the batch norm has not seen.
struct NormPoolRows {
  tensor::Matrix z;
  PooledGradient pooled;
  index_t samples = 0;
};

// First pass of backward, with batch norm. dy is the gradient at the norm's output: zero where not the window's
// maximum or where ReLU cut. Sums over places of each row: of_rows [rows][2][channels], of dy and of dy (z -
// mean).
void norm_pool_backward_sums(device::Context&, const NormPoolShape&, const NormView&, const NormPoolRows&,
                             Span<double> of_rows);
// Over rows, in their order: sums [2][channels], of dy (the gradient of beta) and of dy xhat (of gamma).
void add_backward_sums(device::Context&, const NormView&, Span<const double> of_rows, Span<double> sums);

// Second pass: z becomes its own gradient,
//   gamma * inv_std * (dy - mean_dy - xhat * mean_dy_xhat)   with batch norm, the means over the whole batch,
//   dy                                                       without (all of `norm` null).
// The gradient of padding is zero.
void norm_pool_backward(device::Context&, const NormPoolShape&, const NormView& norm, const NormPoolRows&);

}  // namespace switchyard::ops
