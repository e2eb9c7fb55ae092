// Batch norm: the statistics of the batch in force and the running ones, and the convolution before it.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/span.hpp"
#include "device/buffer.hpp"
#include "nn/layer.hpp"
#include "ops/pooled.hpp"

namespace switchyard::nn {

// y = gamma * xhat + beta, xhat = (z - mean) / sqrt(variance + 1e-5), per channel. In training with the mean
// and the variance of the whole batch; in evaluation with the running ones, which training moves a tenth of the
// way to the batch's (with the unbiased variance). A batch of fewer than two samples leaves them where they
// are: an expert may have been sent none.
//
// Part of a layer, which owns gamma and beta. join_* are called once between the layer's passes over tiles,
// which then read what they left for the set of their tile; each set has statistics of its own.
class BatchNorm {
 public:
  static constexpr index_t moments_width = static_cast<index_t>(sizeof(ops::Moments) / sizeof(double));

  // `name` prefixes the running statistics.
  BatchNorm(const std::string& name, index_t channels);

  void hold(index_t sets, device::MemoryKind memory);

  Span<StateArray> state() { return state_; }

  // tile_moments: [tiles of this rank, channels] Moments. Collective over the batch's ranks in training.
  void join_forward(const Pass& pass, Span<const double> tile_moments, const Parameter& gamma,
                    const Parameter& beta);
  // tile_sums: [tiles of this rank, 2, channels], of dy and of dy xhat; `places` values of a channel in a
  // sample. Collective over the batch's ranks.
  void join_backward(const Pass& pass, Span<const double> tile_sums, index_t places);

  ops::Affine affine() const { return {{scale_.data(), channels_}, {shift_.data(), channels_}}; }
  ops::NormView view(const Parameter& gamma) const {
    const auto of = [&](const device::Buffer<double>& all) {
      return ops::OfSets<const double>(all.data(), channels_);
    };
    return {of(mean_), of(inv_std_), gamma.of_sets(), of(mean_dy_), of(mean_dy_xhat_)};
  }

 private:
  enum StateIndex { running_mean, running_variance };  // of state_

  index_t channels_;
  std::array<StateArray, 2> state_;
  device::Buffer<double> mean_, inv_std_, mean_dy_, mean_dy_xhat_;  // [sets, channels], as the next two
  device::Buffer<float> scale_, shift_;
};

// A convolution that a batch norm may follow. Parameters: weight, [bias], [gamma, beta].
class NormedConv : public Layer {
 public:
  Span<Parameter> parameters() override { return parameters_; }
  Span<StateArray> state() override { return norm_ ? norm_->state() : Span<StateArray>(); }
  void hold(index_t sets, device::MemoryKind memory) override {
    if (norm_) norm_->hold(sets, memory);
  }
  bool needs_batch_statistics() const override { return norm_.has_value(); }

 protected:
  struct Has {
    bool bias, batch_norm;
  };
  // A kernel reads `in_channels` channels, and is so many pixels high and wide.
  NormedConv(LayerNames& names, index_t in_channels, index_t out_channels, index_t kernel, Has has);

  ops::OfSets<const float> weight() const { return parameters_[0].of_sets(); }
  // Without a bias null.
  ops::OfSets<const float> bias() const { return has_bias_ ? parameters_[1].of_sets() : ops::OfSets<float>(); }
  index_t bias_count() const { return has_bias_ ? parameters_[1].count() : 0; }
  const Parameter& gamma() const { return parameters_[has_bias_ ? 2 : 1]; }
  const Parameter& beta() const { return parameters_[has_bias_ ? 3 : 2]; }
  ops::NormView norm_view() const { return norm_ ? norm_->view(gamma()) : ops::NormView(); }
  ops::Affine affine() const { return norm_ ? norm_->affine() : ops::Affine(); }

  std::optional<BatchNorm> norm_;

 private:
  bool has_bias_;
  Vector<Parameter> parameters_;
};

}  // namespace switchyard::nn
