// The first stage of an image network: 3x3 convolution, [batch norm], ReLU, 2x2 max pooling, fused.
#pragma once

#include <memory>
#include <optional>

#include "nn/layer.hpp"
#include "ops/fused_conv.hpp"

namespace switchyard::nn {

// A padded convolution before a batch norm has no bias, which the norm would take away.
struct ConvStageShape : ops::FusedConvShape {
  bool batch_norm = false;

  // `conv:N [batch_norm] relu max_pool`, or, where the image has few channels, padded_conv:N for conv:N.
  static std::optional<ConvStageShape> read(LayerText& text);
  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

}  // namespace switchyard::nn
