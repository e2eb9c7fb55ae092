// Filters shared over the patches of a sample, activation, sum: a whole network in one fused layer.
#pragma once

#include <memory>
#include <optional>

#include "nn/layer.hpp"
#include "ops/patch_filters.hpp"

namespace switchyard::nn {

// The experts of Chen et al. 2022 (two layers, the second fixed to ones), and with one filter and no activation
// their router. The first layer of its network: gives no input gradient. Reads scattered rows where they lie.
struct PatchFiltersShape : ops::PatchFilterShape {
  // Of patches that are squares of an image, so many pixels a side: the image, else its rows are the patches.
  index_t side = 0;
  tensor::SampleShape image = {};

  // `[patches:N] patch_filters:N [bias] [ACTIVATION] sum`, all there is.
  static std::optional<PatchFiltersShape> read(LayerText& text);
  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

}  // namespace switchyard::nn
