// The statistics of a batch norm: those of the batch in force, and the running ones.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/span.hpp"
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

  void hold(index_t sets);

  index_t channels() const { return channels_; }
  Span<StateArray> state() { return state_; }

  // tile_moments: [tiles of this rank, channels] Moments. Collective over the batch's ranks in training.
  void join_forward(const Pass& pass, Span<const double> tile_moments, const Parameter& gamma,
                    const Parameter& beta);
  // tile_sums: [tiles of this rank, 2, channels], of dy and of dy xhat; `places` values of a channel in a
  // sample. Collective over the batch's ranks.
  void join_backward(const Pass& pass, Span<const double> tile_sums, index_t places);

  ops::Affine affine(index_t set) const {
    return {scale_.data() + set * channels_, shift_.data() + set * channels_};
  }
  ops::NormView view(index_t set, const float* gamma) const {
    const auto of = [&](const Vector<double>& all) { return Span(all).subspan(set * channels_, channels_); };
    return {of(mean_).data(), of(inv_std_).data(), gamma, of(mean_dy_), of(mean_dy_xhat_)};
  }

 private:
  enum StateIndex { running_mean, running_variance };  // of state_

  void use_running(index_t set);
  void use_batch(const Pass& pass, index_t set, Span<const ops::Moments> moments);
  void update_running(index_t set, index_t channel, const ops::Moments& batch);

  index_t channels_;
  std::array<StateArray, 2> state_;
  Vector<double> mean_, inv_std_, mean_dy_, mean_dy_xhat_;  // [sets, channels], as the next two
  Vector<float> scale_, shift_;
};

}  // namespace switchyard::nn
