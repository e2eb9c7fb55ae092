// Two-dimensional convolution for layers with many input channels, through oneDNN on the CPU. (The first layers
// of our models, with up to four, run in ops/fused_conv.hpp.)
#pragma once

#include "base/ids.hpp"
#include "device/context.hpp"
#include "ops/tile_rows.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// y[n, p, q, o] = bias[o] + sum over i, u, v of
//     weight[o, i, u, v] * x[n, p * stride_height + u - padding_height, q * stride_width + v - padding_width,
//     i],
// x is 0 outside the image. Images are dense and their channels come last, the order in which oneDNN needs no
// copy of them and a pass over channels is a pass over neighbours: x [batch, height, width, in_channels],
// y [batch, out_height, out_width, out_channels]; weight [out_channels, in_channels, kernel_height,
// kernel_width], bias [out_channels].
struct Conv2dShape {
  index_t batch = 0;
  index_t in_channels = 0;
  index_t height = 0;
  index_t width = 0;
  index_t out_channels = 0;
  index_t kernel_height = 0;
  index_t kernel_width = 0;
  index_t stride_height = 1;
  index_t stride_width = 1;
  index_t padding_height = 0;  // on both sides
  index_t padding_width = 0;
  bool depthwise = false;  // a kernel for each channel: weight [out_channels, 1, ...], and as many in_channels

  index_t out_height() const { return (height + 2 * padding_height - kernel_height) / stride_height + 1; }
  index_t out_width() const { return (width + 2 * padding_width - kernel_width) / stride_width + 1; }
  index_t in_count() const { return batch * in_channels * height * width; }
  index_t out_count() const { return batch * out_channels * out_height() * out_width(); }
  index_t weight_count() const {
    return out_channels * (depthwise ? 1 : in_channels) * kernel_height * kernel_width;
  }
  // Also those with the zeros around an image, of which the library may leave out some.
  index_t multiply_adds() const { return batch * out_height() * out_width() * weight_count(); }
  auto operator<=>(const Conv2dShape&) const = default;
};

// Each is one single-threaded library call behind a copy of the weights into the library's layout; bits depend
// on the shape and the values only. May be called from tasks of a pool at the same time. An operation is built
// once per thread and shape (about a millisecond) and kept, so callers keep the number of row counts small.
// batch = 0 is allowed. Throws BlasError with the shape.

// Writes y. bias may be null.
void conv2d_forward(const Conv2dShape&, const float* x, const float* weight, const float* bias, float* y);
// Writes d_x.
void conv2d_backward_data(const Conv2dShape&, const float* d_y, const float* weight, float* d_x);
// Writes (not adds) the sums over the batch. d_bias may be null.
void conv2d_backward_weights(const Conv2dShape&, const float* x, const float* d_y, float* d_weight,
                             float* d_bias);

// The same on the device of a context: on a CPU as above, on a GPU enqueued (ops/conv2d_columns.hpp); and of
// depthwise convolutions (ops/depthwise.hpp), which the library's above do not take.
void conv2d_forward(device::Context&, const Conv2dShape&, const float* x, const float* weight,
                    const float* bias, float* y);
void conv2d_backward_data(device::Context&, const Conv2dShape&, const float* d_y, const float* weight,
                          float* d_x);
// For rows of several tiles, a gradient for each: gradients [tiles], of the weight and, where rows are longer
// than that, of the bias behind it. x and d_y begin with row 0 of the batch; shape.batch is not read.
void conv2d_backward_weights_of_tiles(device::Context&, const Conv2dShape&, const TileRows& rows,
                                      const float* x, const float* d_y, tensor::Matrix gradients);

}  // namespace switchyard::ops
