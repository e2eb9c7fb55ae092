#include "nn/batch_norm.hpp"

#include <algorithm>
#include <cmath>

#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

constexpr double epsilon = 1e-5;
constexpr double momentum = 0.1;
constexpr index_t smallest_batch = 2;  // whose statistics say something of the next batch's

}  // namespace

BatchNorm::BatchNorm(const std::string& name, index_t channels)
    : state_{StateArray{name + "/running_mean", tensor::Tensor({channels})},
             StateArray{name + "/running_variance", tensor::Tensor({channels})}} {
  std::ranges::fill(state_[running_variance].value.span(), 1.0F);
  for (auto* values : {&mean_, &inv_std_, &mean_dy_, &mean_dy_xhat_}) values->resize(channels);
  for (auto* values : {&scale_, &shift_}) values->resize(channels);
}

void BatchNorm::join_forward(const Pass& pass, Span<const double> tile_moments, const float* gamma,
                             const float* beta) {
  if (pass.mode == Mode::evaluation) {
    use_running();
  } else {
    use_batch(pass, tile_moments);
  }
  // gamma * (z - mean) * inv_std + beta == scale * z + shift
  for (index_t c = 0; c < channels(); ++c) {
    const double scale = gamma[c] * inv_std_[c];
    scale_[c] = static_cast<float>(scale);
    shift_[c] = static_cast<float>(beta[c] - scale * mean_[c]);
  }
}

void BatchNorm::use_running() {
  for (index_t c = 0; c < channels(); ++c) {
    mean_[c] = state_[running_mean].value.data()[c];
    inv_std_[c] = 1.0 / std::sqrt(static_cast<double>(state_[running_variance].value.data()[c]) + epsilon);
  }
}

void BatchNorm::use_batch(const Pass& pass, Span<const double> tile_moments) {
  const Span<const double> all =
      pass.tiles().gather_tiles(pass.workspace(), tile_moments, channels() * moments_width);
  const auto* const moments = reinterpret_cast<const ops::Moments*>(all.data());
  for (index_t c = 0; c < channels(); ++c) {
    ops::Moments batch;
    for (index_t tile = 0; tile < pass.tiles().total_count(); ++tile) {
      batch = ops::merge(batch, moments[tile * channels() + c]);
    }
    mean_[c] = batch.mean;
    inv_std_[c] = 1.0 / std::sqrt(batch.m2 / std::max(batch.count, 1.0) + epsilon);
    if (pass.tiles().total_samples() >= smallest_batch) update_running(c, batch);
  }
}

void BatchNorm::update_running(index_t channel, const ops::Moments& batch) {
  float& mean = state_[running_mean].value.data()[channel];
  float& variance = state_[running_variance].value.data()[channel];
  const double unbiased = batch.m2 / std::max(batch.count - 1.0, 1.0);
  mean = static_cast<float>((1.0 - momentum) * mean + momentum * batch.mean);
  variance = static_cast<float>((1.0 - momentum) * variance + momentum * unbiased);
}

void BatchNorm::join_backward(const Pass& pass, Span<const double> tile_sums, index_t places) {
  const index_t width = 2 * channels();
  const Span<const double> all = pass.tiles().gather_tiles(pass.workspace(), tile_sums, width);
  const Span<double> column = pass.workspace().allocate<double>(pass.tiles().total_count());
  const double count = static_cast<double>(pass.tiles().total_samples() * places);
  for (index_t i = 0; i < width; ++i) {
    for (index_t tile = 0; tile < pass.tiles().total_count(); ++tile) column[tile] = all[tile * width + i];
    const double mean = ops::sum_tree(column) / std::max(count, 1.0);
    (i < channels() ? mean_dy_[i] : mean_dy_xhat_[i - channels()]) = mean;
  }
}

}  // namespace switchyard::nn
