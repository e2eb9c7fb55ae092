// The mean of each channel of an image.
#pragma once

#include <memory>
#include <optional>

#include "nn/layer.hpp"

namespace switchyard::nn {

struct GlobalAveragePoolShape {
  ops::ImageSizes image;
  ops::ImageOrder in_order = ops::ImageOrder::channels_first;

  // `global_average_pool`
  static std::optional<GlobalAveragePoolShape> read(LayerText& text);
  std::unique_ptr<Layer> make(LayerNames&, const NetworkOptions&) const;
};

}  // namespace switchyard::nn
