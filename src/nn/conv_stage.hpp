// The first stage of an image network: 3x3 convolution, [batch norm], ReLU, 2x2 max pooling, fused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "nn/batch_norm.hpp"
#include "nn/layer.hpp"
#include "ops/fused_conv.hpp"

namespace switchyard::nn {

// A padded convolution before a batch norm has no bias, which the norm would take away.
class ConvStage final : public Layer {
 public:
  // `conv_name` and `norm_name` are parameter prefixes; an empty norm_name means no batch norm.
  ConvStage(const std::string& conv_name, const std::string& norm_name, const ops::FusedConvShape& shape,
            std::uint64_t seed, const InitialWeights& initial = {});

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  Span<Parameter> parameters() override { return parameters_; }
  Span<StateArray> state() override { return norm_ ? norm_->state() : Span<StateArray>(); }

  bool needs_batch_statistics() const override { return norm_.has_value(); }
  void begin_forward(const Pass&, LayerRecord&) const override;
  void forward_statistics(const Pass&, index_t tile, LayerRecord&) const override;
  void join_forward_statistics(const Pass&, LayerRecord&) override;
  void forward(const Pass&, index_t tile, LayerRecord&) const override;
  void begin_backward(const Pass&, LayerRecord&) const override;
  void backward_statistics(const Pass&, index_t tile, LayerRecord&) const override;
  void join_backward_statistics(const Pass&, LayerRecord&) override;
  void backward(const Pass&, index_t tile, LayerRecord&, tensor::Matrix d_input, float* partial) const override;

 private:
  const float* value(index_t parameter) const { return parameters_[parameter].value.data(); }
  const float* weight() const { return value(0); }
  bool has_bias() const { return !norm_ || shape_.padding == 0; }
  const float* bias() const { return has_bias() ? value(1) : no_bias_.data(); }
  // Of parameters_; beta follows.
  index_t gamma() const { return has_bias() ? 2 : 1; }
  index_t moments_width() const { return shape_.out_channels * BatchNorm::moments_width; }
  // Of a kernel's workspace, for one tile.
  index_t scratch_floats(const BatchTiles& tiles) const {
    return ops::fused_conv_workspace_floats(shape_, tiles.most_tile_rows());
  }
  ops::ConvTile tile_of(const Pass& pass, const LayerRecord& record, index_t tile, IndexRange rows) const;
  ops::ConvTileSums tile_sums(const LayerRecord& record, index_t tile) const;
  ops::ConvBatchNormView norm_view() const { return {weight(), bias(), norm_->view(value(gamma()))}; }

  ops::FusedConvShape shape_;
  std::optional<BatchNorm> norm_;
  Vector<Parameter> parameters_;  // weight, [bias], [gamma, beta]
  Vector<float> no_bias_;         // zeros, where there is none
};

}  // namespace switchyard::nn
