// 3x3 convolution with a border of zeros, [batch norm], [ReLU], [2x2 max pooling], of any number of channels.
#pragma once

#include <memory>
#include <optional>

#include "nn/layer.hpp"
#include "ops/norm_pool.hpp"

namespace switchyard::nn {

// Between two of these, images lie in the order of the library (channels last).
struct PaddedConvShape {
  index_t in_channels = 0;
  index_t height = 0;
  index_t width = 0;
  index_t out_channels = 0;
  bool batch_norm = false;  // then the convolution has no bias, which the norm would take away
  bool relu = false;
  bool max_pool = false;
  ops::ImageOrder in_order = ops::ImageOrder::channels_first;
  ops::ImageOrder out_order = ops::ImageOrder::channels_first;

  index_t in_features() const { return in_channels * height * width; }
  ops::NormPoolShape norm_pool() const { return {height, width, out_channels, relu, max_pool, out_order}; }
  index_t out_features() const { return norm_pool().out_features(); }
  index_t weight_count() const { return out_channels * in_channels * 9; }
  index_t multiply_adds() const { return height * width * weight_count(); }

  // `padded_conv:N [batch_norm] [relu] [max_pool]`
  static std::optional<PaddedConvShape> read(LayerText& text);
  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

}  // namespace switchyard::nn
