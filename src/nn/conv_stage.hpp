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
  ConvStage(const std::string& conv_name, const std::string& norm_name, const ops::FusedConvShape& shape);

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  index_t training_multiply_adds(bool /*behind*/) const override {
    return shape_.multiply_adds() + shape_.gradient_multiply_adds();
  }
  // And the places of the maxima, a byte each.
  double activation_floats() const override { return 2.25 * static_cast<double>(out_features()); }
  Span<Parameter> parameters() override { return parameters_; }
  Span<StateArray> state() override { return norm_ ? norm_->state() : Span<StateArray>(); }
  void hold(index_t sets) override {
    if (norm_) norm_->hold(sets);
  }

  bool needs_batch_statistics() const override { return norm_.has_value(); }
  std::unique_ptr<LayerRecord> make_record() const override;
  void begin_forward(const Pass&, LayerRecord&) const override;
  void forward_statistics(const Pass&, index_t tile, LayerRecord&) const override;
  void join_forward_statistics(const Pass&, LayerRecord&) override;
  void forward(const Pass&, index_t tile, LayerRecord&) const override;
  void begin_backward(const Pass&, LayerRecord&) const override;
  void backward_statistics(const Pass&, index_t tile, LayerRecord&) const override;
  void join_backward_statistics(const Pass&, LayerRecord&) override;
  void backward(const Pass&, index_t tile, LayerRecord&, tensor::Matrix d_input, float* partial) const override;

 private:
  struct Record;
  ops::ConvWeights weights(index_t set) const {
    return {parameters_[0].of(set), has_bias() ? parameters_[1].of(set) : no_bias_.data(),
            norm_ ? norm_->affine(set) : ops::Affine()};
  }
  bool has_bias() const { return !norm_ || shape_.padding == 0; }
  const Parameter& gamma() const { return parameters_[has_bias() ? 2 : 1]; }
  const Parameter& beta() const { return parameters_[has_bias() ? 3 : 2]; }
  index_t moments_width() const { return shape_.out_channels * BatchNorm::moments_width; }
  // Of a kernel's workspace, for one tile.
  index_t scratch_floats(const BatchTiles& tiles) const {
    return ops::fused_conv_workspace_floats(shape_, tiles.most_tile_rows());
  }
  ops::ConvTile tile_of(const Pass& pass, const Record& record, index_t tile, IndexRange rows) const;
  ops::ConvTileSums tile_sums(const Record& record, index_t tile) const;
  ops::ConvBatchNormView norm_view(index_t set) const {
    return {weights(set).weight, weights(set).bias, norm_->view(set, gamma().of(set))};
  }

  ops::FusedConvShape shape_;
  std::optional<BatchNorm> norm_;
  Vector<Parameter> parameters_;  // weight, [bias], [gamma, beta]
  Vector<float> no_bias_;         // zeros, where there is none
};

}  // namespace switchyard::nn
