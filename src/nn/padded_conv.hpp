// Convolution with a border of zeros, [batch norm], [a skip], [ReLU], [2x2 max pooling], of any number of
// channels.
#pragma once

#include <memory>
#include <optional>

#include "nn/layer.hpp"
#include "ops/conv2d.hpp"
#include "ops/norm_pool.hpp"

namespace switchyard::nn {

// Between two of these, images lie in the order of the library (channels last).
struct PaddedConvShape {
  index_t in_channels = 0;
  index_t height = 0;  // of what it is given
  index_t width = 0;
  index_t out_channels = 0;
  index_t kernel = 3;       // kernel x kernel, which is odd, behind a border of half of it
  index_t stride = 1;       // in both directions
  bool depthwise = false;   // a kernel for each channel, of which there are as many in the result
  bool batch_norm = false;  // then the convolution has no bias, which the norm would take away
  ops::ImageActivation activation = ops::ImageActivation::none;
  bool max_pool = false;
  ops::ImageOrder in_order = ops::ImageOrder::channels_first;
  ops::ImageOrder out_order = ops::ImageOrder::channels_first;

  index_t in_features() const { return in_channels * height * width; }
  ops::NormPoolShape norm_pool() const {
    return {(height - 1) / stride + 1, (width - 1) / stride + 1, out_channels, activation, max_pool, out_order};
  }
  index_t out_features() const { return norm_pool().out_features(); }
  // Channels that one of the result is made of.
  index_t kernel_channels() const { return depthwise ? 1 : in_channels; }
  index_t weight_count() const { return out_channels * kernel_channels() * kernel * kernel; }
  index_t multiply_adds() const { return conv(1).multiply_adds(); }
  ops::Conv2dShape conv(index_t rows) const;

  // `padded_conv:N[/STRIDE]`, `pointwise_conv:N[/STRIDE]` or `depthwise_conv[/STRIDE]`, and behind it
  // `[batch_norm] [relu] [max_pool]`, or relu6.
  static std::optional<PaddedConvShape> read(LayerText& text);
  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

}  // namespace switchyard::nn
