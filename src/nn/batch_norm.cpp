#include "nn/batch_norm.hpp"

#include <algorithm>
#include <cmath>

#include "nn/network_options.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

constexpr double epsilon = 1e-5;
constexpr double momentum = 0.1;
constexpr index_t smallest_batch = 2;  // whose statistics say something of the next batch's

}  // namespace

BatchNorm::BatchNorm(const std::string& name, index_t channels)
    : channels_(channels),
      state_{StateArray{name + "/running_mean", {channels}, BankArray::First::zeros, 1, Role::norm},
             StateArray{name + "/running_variance", {channels}, BankArray::First::ones, 1, Role::norm}} {}

void BatchNorm::hold(index_t sets) {
  for (auto* values : {&mean_, &inv_std_, &mean_dy_, &mean_dy_xhat_}) values->resize(sets * channels_);
  for (auto* values : {&scale_, &shift_}) values->resize(sets * channels_);
}

void BatchNorm::join_forward(const Pass& pass, Span<const double> tile_moments, const Parameter& gamma,
                             const Parameter& beta) {
  const nn::BatchTiles& tiles = pass.tiles();
  Span<const ops::Moments> moments;
  if (pass.is_training()) {
    const Span<const double> all = tiles.gather_tiles(pass.context, tile_moments, channels_ * moments_width);
    moments = {reinterpret_cast<const ops::Moments*>(all.data()), tiles.total_count() * channels_};
  }
  for (index_t set = 0; set < tiles.set_count(); ++set) {
    if (pass.is_training()) {
      use_batch(pass, set, moments);
    } else {
      use_running(set);
    }
    // gamma * (z - mean) * inv_std + beta == scale * z + shift
    for (index_t c = 0; c < channels_; ++c) {
      const index_t i = set * channels_ + c;
      const double scale = gamma.of(set)[c] * inv_std_[i];
      scale_[i] = static_cast<float>(scale);
      shift_[i] = static_cast<float>(beta.of(set)[c] - scale * mean_[i]);
    }
  }
}

void BatchNorm::use_running(index_t set) {
  for (index_t c = 0; c < channels_; ++c) {
    const index_t i = set * channels_ + c;
    mean_[i] = state_[running_mean].of(set)[c];
    inv_std_[i] = 1.0 / std::sqrt(static_cast<double>(state_[running_variance].of(set)[c]) + epsilon);
  }
}

void BatchNorm::use_batch(const Pass& pass, index_t set, Span<const ops::Moments> moments) {
  const IndexRange tiles = pass.tiles().tiles_of(set);
  for (index_t c = 0; c < channels_; ++c) {
    ops::Moments batch;
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile)
      batch = ops::merge(batch, moments[tile * channels_ + c]);
    mean_[set * channels_ + c] = batch.mean;
    inv_std_[set * channels_ + c] = 1.0 / std::sqrt(batch.m2 / std::max(batch.count, 1.0) + epsilon);
    if (pass.tiles().total_samples(set) >= smallest_batch) update_running(set, c, batch);
  }
}

void BatchNorm::update_running(index_t set, index_t channel, const ops::Moments& batch) {
  float& mean = state_[running_mean].of(set)[channel];
  float& variance = state_[running_variance].of(set)[channel];
  const double unbiased = batch.m2 / std::max(batch.count - 1.0, 1.0);
  mean = static_cast<float>((1.0 - momentum) * mean + momentum * batch.mean);
  variance = static_cast<float>((1.0 - momentum) * variance + momentum * unbiased);
}

void BatchNorm::join_backward(const Pass& pass, Span<const double> tile_sums, index_t places) {
  const index_t width = 2 * channels_;
  const BatchTiles& tiles = pass.tiles();
  const Span<const double> all = tiles.gather_tiles(pass.context, tile_sums, width);
  const Span<double> column = pass.workspace().allocate<double>(tiles.total_count());
  for (index_t set = 0; set < tiles.set_count(); ++set) {
    const IndexRange of_set = tiles.tiles_of(set);
    const double count = static_cast<double>(tiles.total_samples(set) * places);
    for (index_t i = 0; i < width; ++i) {
      for (index_t t = 0; t < of_set.size(); ++t) column[t] = all[(of_set.begin + t) * width + i];
      const double mean = ops::sum_tree(column.first(of_set.size())) / std::max(count, 1.0);
      const index_t c = i < channels_ ? i : i - channels_;
      (i < channels_ ? mean_dy_ : mean_dy_xhat_)[set * channels_ + c] = mean;
    }
  }
}

NormedConv::NormedConv(LayerNames& names, index_t in_channels, index_t out_channels, Has has)
    : has_bias_(has.bias) {
  using First = BankArray::First;
  const auto add = [&](std::string name, Role role, tensor::Shape shape, First first) {
    parameters_.push_back({{std::move(name), std::move(shape), first, in_channels * 9, role}});
  };
  const std::string conv = names.next("conv");
  add(conv + "/weight", Role::weight, {out_channels, in_channels, 3, 3}, First::drawn);
  if (has.bias) add(conv + "/bias", Role::bias, {out_channels}, First::drawn);
  if (!has.batch_norm) return;
  const std::string norm = names.next("batch_norm");
  norm_.emplace(norm, out_channels);
  add(norm + "/gamma", Role::norm, {out_channels}, First::ones);
  add(norm + "/beta", Role::norm, {out_channels}, First::zeros);
}

}  // namespace switchyard::nn
