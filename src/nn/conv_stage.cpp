#include "nn/conv_stage.hpp"

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

constexpr double norm_epsilon = 1e-5;
constexpr double norm_momentum = 0.1;

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

// The tile's row of [tiles, width].
template <class T>
std::span<T> of_tile(std::span<T> all, index_t tile, index_t width) {
  return all.subspan(at(tile * width), at(width));
}

}  // namespace

ConvStage::ConvStage(const std::string& conv_name, const std::string& norm_name,
                     const ops::FusedConvShape& shape, std::uint64_t seed, const InitialWeights& initial)
    : shape_(shape), normalised_(!norm_name.empty()) {
  const index_t channels = shape.out_channels;
  const index_t fan_in = shape.in_channels * 9;
  parameters_.push_back({conv_name + "/weight", tensor::Tensor({channels, shape.in_channels, 3, 3})});
  parameters_.push_back({conv_name + "/bias", tensor::Tensor({channels})});
  initialize(parameters_[weight], seed, fan_in, initial);
  initialize(parameters_[bias], seed, fan_in, initial);
  if (!normalised_) return;
  parameters_.push_back({norm_name + "/gamma", tensor::Tensor({channels})});
  parameters_.push_back({norm_name + "/beta", tensor::Tensor({channels})});
  initialize_constant(parameters_[gamma], 1.0F);
  state_.push_back({norm_name + "/running_mean", tensor::Tensor({channels})});
  state_.push_back({norm_name + "/running_variance", tensor::Tensor({channels})});
  std::ranges::fill(state_[running_var].value.span(), 1.0F);
  for (auto* values : {&mean_, &inv_std_, &mean_dy_, &mean_dy_xhat_}) values->resize(at(channels));
  for (auto* values : {&scale_, &shift_}) values->resize(at(channels));
}

// Floats of kernel workspace for one tile; tiles differ by at most one row.
index_t ConvStage::scratch_floats(const BatchTiles& tiles) const {
  index_t rows = 0;
  for (index_t tile = 0; tile < tiles.local_count(); ++tile) rows = std::max(rows, tiles.rows(tile).size());
  return ops::fused_conv_workspace_floats(shape_, rows);
}

void ConvStage::begin_forward(device::Workspace& workspace, const BatchTiles& tiles, Mode mode,
                              LayerRecord& record) const {
  const index_t rows = tiles.local_rows();
  record.output = {workspace.allocate<float>(rows * out_features()).data(), rows, out_features()};
  record.winner = workspace.allocate<std::uint8_t>(rows * out_features());
  record.scratch = workspace.allocate<float>(tiles.local_count() * scratch_floats(tiles));
  record.tile_statistics = {};
  if (normalised_ && mode == Mode::training) {
    record.tile_statistics = workspace.allocate<double>(tiles.local_count() * moments_width());
    record.tile_sums = workspace.allocate<double>(tiles.local_count() * ops::conv_patch_sums_count(shape_));
  }
}

// Moments of the tile; the whole batch's follow in join_forward_statistics.
void ConvStage::forward_statistics(device::Context& context, const BatchTiles& tiles, index_t tile,
                                   LayerRecord& record) const {
  if (record.tile_statistics.empty()) return;  // evaluation: running statistics
  const IndexRange rows = tiles.rows(tile);
  const std::span<double> patch_sums = of_tile(record.tile_sums, tile, ops::conv_patch_sums_count(shape_));
  ops::conv_patch_sums(context, shape_, record.input.rows_from(rows.begin, rows.size()),
                       of_tile(record.scratch, tile, scratch_floats(tiles)), patch_sums);
  auto* const moments =
      reinterpret_cast<ops::Moments*>(record.tile_statistics.data()) + tile * shape_.out_channels;
  ops::conv_moments(context, shape_, patch_sums, value(weight), value(bias),
                    {moments, at(shape_.out_channels)});
}

void ConvStage::join_forward_statistics(device::Workspace& workspace, const BatchTiles& tiles, Mode mode,
                                        LayerRecord& record) {
  if (mode == Mode::evaluation) {
    for (index_t c = 0; c < shape_.out_channels; ++c) {
      mean_[at(c)] = state_[running_mean].value.data()[c];
      inv_std_[at(c)] =
          1.0 / std::sqrt(static_cast<double>(state_[running_var].value.data()[c]) + norm_epsilon);
    }
    return set_scale_and_shift();
  }
  const std::span<const double> all = tiles.gather_tiles(workspace, record.tile_statistics, moments_width());
  const auto* const moments = reinterpret_cast<const ops::Moments*>(all.data());
  const std::span<ops::Moments> batch = workspace.allocate<ops::Moments>(shape_.out_channels);
  for (index_t c = 0; c < shape_.out_channels; ++c) {
    ops::Moments sum;
    for (index_t tile = 0; tile < tiles.total_count(); ++tile) {
      sum = ops::merge(sum, moments[tile * shape_.out_channels + c]);
    }
    batch[at(c)] = sum;
    mean_[at(c)] = sum.mean;
    inv_std_[at(c)] = 1.0 / std::sqrt(sum.m2 / std::max(sum.count, 1.0) + norm_epsilon);
  }
  update_running(batch);
  set_scale_and_shift();
}

void ConvStage::update_running(std::span<const ops::Moments> batch) {
  for (index_t c = 0; c < shape_.out_channels; ++c) {
    const ops::Moments& now = batch[at(c)];
    float& mean = state_[running_mean].value.data()[c];
    float& variance = state_[running_var].value.data()[c];
    const double unbiased = now.m2 / std::max(now.count - 1.0, 1.0);
    mean = static_cast<float>((1.0 - norm_momentum) * mean + norm_momentum * now.mean);
    variance = static_cast<float>((1.0 - norm_momentum) * variance + norm_momentum * unbiased);
  }
}

// gamma * (z - mean) * inv_std + beta == scale * z + shift
void ConvStage::set_scale_and_shift() {
  for (index_t c = 0; c < shape_.out_channels; ++c) {
    const double scale = value(gamma)[c] * inv_std_[at(c)];
    scale_[at(c)] = static_cast<float>(scale);
    shift_[at(c)] = static_cast<float>(value(beta)[c] - scale * mean_[at(c)]);
  }
}

void ConvStage::forward(device::Context& context, const BatchTiles& tiles, index_t tile,
                        LayerRecord& record) const {
  const IndexRange rows = tiles.rows(tile);
  ops::fused_conv_forward(
      context, shape_, record.input.rows_from(rows.begin, rows.size()), value(weight), value(bias),
      normalised_ ? scale_.data() : nullptr, normalised_ ? shift_.data() : nullptr,
      record.output.rows_from(rows.begin, rows.size()), record.winner.data() + rows.begin * out_features());
}

void ConvStage::begin_backward(device::Workspace& workspace, const BatchTiles& tiles,
                               LayerRecord& record) const {
  if (!normalised_) return;
  record.tile_statistics = workspace.allocate<double>(tiles.local_count() * 2 * shape_.out_channels);
  record.tile_products = workspace.allocate<double>(tiles.local_count() * shape_.weight_count());
}

ops::PooledGradient ConvStage::pooled_gradient(const LayerRecord& record, IndexRange rows) const {
  return {record.output.rows_from(rows.begin, rows.size()), record.winner.data() + rows.begin * out_features(),
          record.d_output.rows_from(rows.begin, rows.size())};
}

ops::ConvTileGradient ConvStage::tile_gradient(const LayerRecord& record, index_t tile) const {
  const index_t channels = shape_.out_channels;
  const std::span<double> sums = of_tile(record.tile_statistics, tile, 2 * channels);
  return {sums.first(at(channels)), sums.subspan(at(channels)),
          of_tile(record.tile_products, tile, shape_.weight_count())};
}

void ConvStage::backward_statistics(device::Context& context, const BatchTiles& tiles, index_t tile,
                                    LayerRecord& record) const {
  const IndexRange rows = tiles.rows(tile);
  ops::fused_conv_bn_backward_sums(
      context, shape_, record.input.rows_from(rows.begin, rows.size()), norm_view(),
      of_tile(record.tile_sums, tile, ops::conv_patch_sums_count(shape_)), pooled_gradient(record, rows),
      of_tile(record.scratch, tile, scratch_floats(tiles)), tile_gradient(record, tile));
}

void ConvStage::join_backward_statistics(device::Workspace& workspace, const BatchTiles& tiles,
                                         LayerRecord& record) {
  const index_t channels = shape_.out_channels;
  const std::span<const double> all = tiles.gather_tiles(workspace, record.tile_statistics, 2 * channels);
  const std::span<double> column = workspace.allocate<double>(tiles.total_count());
  const double places = static_cast<double>(tiles.total_rows() * shape_.conv_height() * shape_.conv_width());
  for (index_t c = 0; c < 2 * channels; ++c) {
    for (index_t tile = 0; tile < tiles.total_count(); ++tile)
      column[at(tile)] = all[at(tile * 2 * channels + c)];
    const double mean = ops::sum_tree(column) / std::max(places, 1.0);
    (c < channels ? mean_dy_[at(c)] : mean_dy_xhat_[at(c - channels)]) = mean;
  }
}

void ConvStage::backward(device::Context& context, const BatchTiles& tiles, index_t tile, LayerRecord& record,
                         tensor::Matrix d_input, float* partial) const {
  SY_EXPECTS(d_input.data == nullptr,
             "the fused convolution is a network's first layer and gives no input gradient");
  const IndexRange rows = tiles.rows(tile);
  const index_t channels = shape_.out_channels;
  float* const d_bias = partial + shape_.weight_count();
  if (!normalised_) {
    ops::fused_conv_backward(context, shape_, record.input.rows_from(rows.begin, rows.size()),
                             pooled_gradient(record, rows),
                             of_tile(record.scratch, tile, scratch_floats(tiles)), partial, d_bias);
    return;
  }
  const ops::ConvTileGradient sums = tile_gradient(record, tile);
  ops::fused_conv_bn_backward(context, shape_, norm_view(),
                              of_tile(record.tile_sums, tile, ops::conv_patch_sums_count(shape_)), sums,
                              mean_dy_, mean_dy_xhat_, partial);
  for (index_t c = 0; c < channels; ++c) {
    d_bias[c] = 0.0F;  // the norm takes the mean away, so this bias has no effect and its gradient is zero
    d_bias[channels + c] = static_cast<float>(sums.sum_dy_xhat[at(c)]);  // d_gamma
    d_bias[2 * channels + c] = static_cast<float>(sums.sum_dy[at(c)]);   // d_beta
  }
}

}  // namespace switchyard::nn
