// y = relu(x W + b), or without the ReLU or the b.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "nn/layer.hpp"

namespace switchyard::nn {

// weight is [in, out], so that forward is a plain product and the input gradient reads the same copy
// transposed.
struct DenseShape {
  index_t in = 0;
  index_t out = 0;
  bool relu = false;
  bool bias = true;
  std::string_view name = {};  // in place of "dense_3"; such layers are not counted

  // `dense:N [relu]`
  static std::optional<DenseShape> read(LayerText& text);
  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

// dW[block] = X[:, block]^T dY, of a weight [in, out] and a block of its rows: gradient is [block.size(), out].
void product_gradient(device::Context& context, const ProductPair& rows, IndexRange block, float* gradient,
                      Layer::Gradient how);
// The same of each tile of a run, of all rows of the weight.
void product_gradients_of_tiles(const Pass& pass, IndexRange tiles, const ProductPair& rows,
                                TilePartials partials);
// The same of ranges of rows, which a GPU takes in one launch.
void product_gradients_of_ranges(const Pass& pass, ops::TileView ranges, const ProductPair& rows,
                                 TilePartials gradients);
// The same of all rows of each set, of which there are as many as `sets` says, without padding; into
// `gradients` of all sets, or added to it for a later part of the batch.
void product_gradients_of_sets(const Pass& pass, const ProductPair& rows, Span<const ops::SetRows> sets,
                               ops::OfSets<float> gradients);

}  // namespace switchyard::nn
