// What follows a convolution of many channels, in one pass: [batch norm], [ReLU], [2x2 max pooling]; and the
// order of an image's values.
#pragma once

#include <cstdint>
#include <span>

#include "device/context.hpp"
#include "ops/moments.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// [channels][height][width], as samples and dense layers have it, or [height][width][channels], as
// ops/conv2d.hpp has it.
enum class ImageOrder { channels_first, channels_last };

// out row r holds the image in row r of `images`, which is in the other order. places: height * width.
void reorder_images(device::Context&, tensor::RowSource images, index_t channels, index_t places, ImageOrder to,
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
void channel_moments(device::Context&, const NormPoolShape&, tensor::ConstMatrix z, std::span<Moments> of_rows);
// Merged in the order of the rows; [channels].
void merge_moments(device::Context&, std::span<const Moments> of_rows, std::span<Moments> moments);

// out = maxpool(relu(scale_c * z + shift_c)). scale and shift may be null (1, 0), both or none. argmax_place: a
// byte for each result, channels last; 0..3 is the place in the window (the first on ties). Null without
// pooling.
void norm_pool_forward(device::Context&, const NormPoolShape&, tensor::ConstMatrix z, const float* scale,
                       const float* shift, tensor::Matrix out, std::uint8_t* argmax_place);

// What forward left, and the gradient of its result.
struct NormPoolGradient {
  tensor::ConstMatrix out;
  const std::uint8_t* argmax_place = nullptr;
  tensor::ConstMatrix d_out;
};

// Batch norm: y = gamma * xhat + beta, xhat = (z - mean) * inv_std; mean and inv_std of the whole batch.
struct NormView {
  const double* mean = nullptr;  // [channels]
  const double* inv_std = nullptr;
  const float* gamma = nullptr;
};

// First pass of backward, with batch norm. dy is the gradient at the norm's output: zero where not the window's
// maximum or where ReLU cut. Sums over places of each row: of_rows [rows][2][channels], of dy and of dy (z -
// mean).
void norm_pool_backward_sums(device::Context&, const NormPoolShape&, const NormView&, tensor::ConstMatrix z,
                             const NormPoolGradient&, std::span<double> of_rows);
// Over rows, in their order: sums [2][channels], of dy (the gradient of beta) and of dy xhat (of gamma).
void add_backward_sums(device::Context&, const NormView&, std::span<const double> of_rows,
                       std::span<double> sums);

// Second pass: z becomes its own gradient,
//   gamma * inv_std * (dy - mean_dy - xhat * mean_dy_xhat)   with batch norm, the means over the whole batch,
//   dy                                                       without (all of `norm` null).
// Rows from `samples` on are padding, which the batch norm has not seen: their gradient is zero.
void norm_pool_backward(device::Context&, const NormPoolShape&, const NormView& norm,
                        std::span<const double> mean_dy, std::span<const double> mean_dy_xhat,
                        const NormPoolGradient&, index_t samples, tensor::Matrix z);

}  // namespace switchyard::ops
