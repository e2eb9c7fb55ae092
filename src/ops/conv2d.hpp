// Two-dimensional convolution through oneDNN, for layers with many input channels. (The first layers of our
// models, with up to four, run in ops/fused_conv.hpp.)
#pragma once

#include <memory>

#include "base/ids.hpp"

namespace switchyard::ops {

// y[n, o, p, q] = bias[o] + sum over i, u, v of
//     weight[o, i, u, v] * x[n, i, p * stride_height + u - padding_height, q * stride_width + v -
//     padding_width],
// x is 0 outside the image. Arrays are dense: x [batch, in_channels, height, width], y [batch, out_channels,
// out_height, out_width], weight [out_channels, in_channels, kernel_height, kernel_width], bias [out_channels].
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

  index_t out_height() const { return (height + 2 * padding_height - kernel_height) / stride_height + 1; }
  index_t out_width() const { return (width + 2 * padding_width - kernel_width) / stride_width + 1; }
  index_t in_count() const { return batch * in_channels * height * width; }
  index_t out_count() const { return batch * out_channels * out_height() * out_width(); }
  index_t weight_count() const { return out_channels * in_channels * kernel_height * kernel_width; }
  auto operator<=>(const Conv2dShape&) const = default;
};

// The plan of one convolution: the layouts that oneDNN chose, its operations, the reordered weights, and room
// for reordered images. Calls are single-threaded, allocate nothing once each was made once, and give bits that
// depend on the shape and the values only.
//
// Belongs to the thread that made it: a task that convolves a tile has a plan for that tile. Every call throws
// BlasError with the shape when oneDNN fails. batch = 0 is allowed.
class Conv2d {
 public:
  explicit Conv2d(const Conv2dShape& shape);
  ~Conv2d();
  Conv2d(Conv2d&&) noexcept;
  Conv2d& operator=(Conv2d&&) noexcept;

  const Conv2dShape& shape() const;

  // Copies the weights into the layouts that forward and backward_data read, and the bias. Call after each
  // update.
  void set_weights(const float* weight, const float* bias);
  // Writes y.
  void forward(const float* x, float* y);
  // Writes d_x from the gradient of y, with the weights that were set.
  void backward_data(const float* d_y, float* d_x);
  // Writes (not adds) the sums over the batch.
  void backward_weights(const float* x, const float* d_y, float* d_weight, float* d_bias);

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace switchyard::ops
