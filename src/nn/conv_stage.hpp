// The first stage of an image network: 3x3 convolution, [batch norm], ReLU, 2x2 max pooling, fused.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/layer.hpp"
#include "ops/fused_conv.hpp"

namespace switchyard::nn {

// Batch norm uses the statistics of the global batch in training (and keeps running ones, momentum 0.1,
// unbiased variance), and the running ones in evaluation.
class ConvStage final : public Layer {
 public:
  // `conv_name` and `norm_name` are parameter prefixes; an empty norm_name means no batch norm.
  ConvStage(const std::string& conv_name, const std::string& norm_name, const ops::FusedConvShape& shape,
            std::uint64_t seed, const InitialWeights& initial = {});

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  std::span<Parameter> parameters() override { return parameters_; }
  std::span<StateArray> state() override { return state_; }

  bool needs_batch_statistics() const override { return normalised_; }
  void begin_forward(device::Workspace&, const BatchTiles&, Mode, LayerRecord&) const override;
  void forward_statistics(device::Context&, const BatchTiles&, index_t tile, LayerRecord&) const override;
  void join_forward_statistics(device::Workspace&, const BatchTiles&, Mode, LayerRecord&) override;
  void forward(device::Context&, const BatchTiles&, index_t tile, LayerRecord&) const override;
  void begin_backward(device::Workspace&, const BatchTiles&, LayerRecord&) const override;
  void backward_statistics(device::Context&, const BatchTiles&, index_t tile, LayerRecord&) const override;
  void join_backward_statistics(device::Workspace&, const BatchTiles&, LayerRecord&) override;
  void backward(device::Context&, const BatchTiles&, index_t tile, LayerRecord&, tensor::Matrix d_input,
                float* partial) const override;

 private:
  enum Index { weight, bias, gamma, beta };       // of parameters_
  enum StateIndex { running_mean, running_var };  // of state_

  const float* value(Index i) const { return parameters_[static_cast<std::size_t>(i)].value.data(); }
  index_t moments_width() const {
    return shape_.out_channels * static_cast<index_t>(sizeof(ops::Moments) / sizeof(double));
  }
  index_t scratch_floats(const BatchTiles& tiles) const;
  ops::PooledGradient pooled_gradient(const LayerRecord& record, IndexRange rows) const;
  ops::ConvTileGradient tile_gradient(const LayerRecord& record, index_t tile) const;
  ops::ConvBatchNormView norm_view() const {
    return {value(weight), value(bias), mean_.data(), inv_std_.data(), value(gamma)};
  }
  void update_running(std::span<const ops::Moments> batch);
  void set_scale_and_shift();

  ops::FusedConvShape shape_;
  bool normalised_;
  std::vector<Parameter> parameters_;
  std::vector<StateArray> state_;

  // The statistics in force for the current batch, per channel: written by join_*, read by all tiles after it.
  std::vector<double> mean_, inv_std_, mean_dy_, mean_dy_xhat_;
  std::vector<float> scale_, shift_;
};

}  // namespace switchyard::nn
