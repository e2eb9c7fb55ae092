// Filters shared over the patches of a sample, activation, sum: a whole network in one fused layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "nn/layer.hpp"
#include "ops/patch_filters.hpp"

namespace switchyard::nn {

// The experts of Chen et al. 2022 (two layers, the second fixed to ones), and with one filter and no activation
// their router. The first layer of its network: gives no input gradient. Reads scattered rows where they lie.
class PatchFilters final : public Layer {
 public:
  PatchFilters(const std::string& name, const ops::PatchFilterShape& shape);

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.outputs; }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  double activation_floats() const override;
  Span<Parameter> parameters() override { return parameters_; }

  std::unique_ptr<LayerRecord> make_record() const override;
  void begin_forward(const Pass&, LayerRecord&) const override;
  void forward(const Pass&, index_t tile, LayerRecord&) const override;
  void begin_backward(const Pass&, LayerRecord&) const override;
  void backward(const Pass&, index_t tile, LayerRecord&, tensor::Matrix d_input, float* partial) const override;

 private:
  struct Record;
  // For one tile.
  index_t workspace_floats(const BatchTiles& tiles) const {
    return ops::patch_filters_workspace_floats(shape_, tiles.most_tile_rows());
  }
  static ops::PatchFilterRows rows_of(const Record& record, IndexRange rows);

  ops::PatchFilterShape shape_;
  Vector<Parameter> parameters_;  // weight, and bias if there is one
};

}  // namespace switchyard::nn
