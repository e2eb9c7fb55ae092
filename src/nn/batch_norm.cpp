#include "nn/batch_norm.hpp"

#include "nn/network_options.hpp"
#include "ops/batch_norm.hpp"

namespace switchyard::nn {

BatchNorm::BatchNorm(const std::string& name, index_t channels)
    : channels_(channels),
      state_{StateArray{name + "/running_mean", {channels}, BankArray::First::zeros, 1, Role::norm},
             StateArray{name + "/running_variance", {channels}, BankArray::First::ones, 1, Role::norm}} {}

void BatchNorm::hold(index_t sets, device::MemoryKind memory) {
  for (auto* values : {&mean_, &inv_std_, &mean_dy_, &mean_dy_xhat_})
    *values = device::Buffer<double>(sets * channels_, memory);
  for (auto* values : {&scale_, &shift_}) *values = device::Buffer<float>(sets * channels_, memory);
}

void BatchNorm::join_forward(const Pass& pass, Span<const double> tile_moments, const Parameter& gamma,
                             const Parameter& beta) {
  const BatchTiles& tiles = pass.tiles();
  const ops::NormValues values{gamma.of_sets(), beta.of_sets(), state_[running_mean].of_sets(),
                               state_[running_variance].of_sets()};
  const ops::NormStatistics statistics{channels_, mean_.data(), inv_std_.data(), scale_.data(), shift_.data()};
  if (!pass.is_training())
    return ops::use_running_statistics(pass.context, tiles.set_count(), values, statistics);
  const Span<const double> all = tiles.gather_tiles(pass.context, tile_moments, channels_ * moments_width);
  const Span<const ops::Moments> moments{reinterpret_cast<const ops::Moments*>(all.data()),
                                         tiles.total_count() * channels_};
  ops::use_batch_statistics(pass.context, tiles.set_tiles(), moments, values, statistics);
}

void BatchNorm::join_backward(const Pass& pass, Span<const double> tile_sums, index_t places) {
  const BatchTiles& tiles = pass.tiles();
  const Span<const double> all = tiles.gather_tiles(pass.context, tile_sums, 2 * channels_);
  ops::join_backward_sums(pass.context, tiles.set_tiles(), channels_, places, all,
                          {mean_dy_.data(), mean_dy_xhat_.data()});
}

NormedConv::NormedConv(LayerNames& names, index_t in_channels, index_t out_channels, index_t kernel, Has has)
    : has_bias_(has.bias) {
  using First = BankArray::First;
  const auto add = [&](std::string name, Role role, tensor::Shape shape, First first) {
    parameters_.push_back({{std::move(name), std::move(shape), first, in_channels * kernel * kernel, role}});
  };
  const std::string conv = names.next("conv");
  add(conv + "/weight", Role::weight, {out_channels, in_channels, kernel, kernel}, First::drawn);
  if (has.bias) add(conv + "/bias", Role::bias, {out_channels}, First::drawn);
  if (!has.batch_norm) return;
  const std::string norm = names.next("batch_norm");
  norm_.emplace(norm, out_channels);
  add(norm + "/gamma", Role::norm, {out_channels}, First::ones);
  add(norm + "/beta", Role::norm, {out_channels}, First::zeros);
}

}  // namespace switchyard::nn
