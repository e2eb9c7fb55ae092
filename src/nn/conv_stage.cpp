#include "nn/conv_stage.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

// The tile's row of [tiles, width].
template <class T>
Span<T> of_tile(Span<T> all, index_t tile, index_t width) {
  return all.subspan(tile * width, width);
}

}  // namespace

struct ConvStage::Record : LayerRecord {
  Span<std::uint8_t> argmax_place;  // place of each maximum in its window
  Span<float> scratch;              // [tiles, scratch_floats] of the kernels
  // Batch norm, [tiles, width]: what is joined over all ranks, moments and then sums; sums over patches; and
  // between the two passes of backward those of their products with the gradient.
  Span<double> tile_statistics, patch_sums, products;
};

std::unique_ptr<LayerRecord> ConvStage::make_record() const { return std::make_unique<Record>(); }

ConvStage::ConvStage(const std::string& conv_name, const std::string& norm_name,
                     const ops::FusedConvShape& shape)
    : shape_(shape) {
  using First = BankArray::First;
  const index_t channels = shape.out_channels;
  const index_t fan_in = shape.in_channels * 9;
  if (!norm_name.empty()) norm_.emplace(norm_name, channels);
  parameters_.push_back({{conv_name + "/weight", {channels, shape.in_channels, 3, 3}, First::drawn, fan_in}});
  if (has_bias()) {
    parameters_.push_back({{conv_name + "/bias", {channels}, First::drawn, fan_in}});
  } else {
    no_bias_.resize(channels);
  }
  if (!norm_) return;
  parameters_.push_back({{norm_name + "/gamma", {channels}, First::ones}});
  parameters_.push_back({{norm_name + "/beta", {channels}, First::zeros}});
}

void ConvStage::begin_forward(const Pass& pass, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  const index_t rows = pass.tiles().local_rows();
  record.output = tensor::allocate_matrix(pass.workspace(), rows, out_features());
  record.argmax_place = pass.workspace().allocate<std::uint8_t>(rows * out_features());
  record.scratch = pass.workspace().allocate<float>(pass.tiles().local_count() * scratch_floats(pass.tiles()));
  record.tile_statistics = {};
  if (norm_ && pass.is_training()) {
    record.tile_statistics = pass.workspace().allocate<double>(pass.tiles().local_count() * moments_width());
    record.patch_sums =
        pass.workspace().allocate<double>(pass.tiles().local_count() * ops::conv_patch_sums_count(shape_));
  }
}

// Moments of the tile; the whole batch's follow in join_forward_statistics.
void ConvStage::forward_statistics(const Pass& pass, index_t tile, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  if (record.tile_statistics.empty()) return;  // evaluation: running statistics
  const IndexRange rows = pass.tiles().samples(tile);
  const Span<double> patch_sums = of_tile(record.patch_sums, tile, ops::conv_patch_sums_count(shape_));
  ops::conv_patch_sums(pass.context, shape_, record.input.rows_from(rows),
                       of_tile(record.scratch, tile, scratch_floats(pass.tiles())), patch_sums);
  auto* const moments =
      reinterpret_cast<ops::Moments*>(record.tile_statistics.data()) + tile * shape_.out_channels;
  ops::conv_moments(pass.context, shape_, patch_sums, weights(pass.tiles().set(tile)),
                    {moments, shape_.out_channels});
}

void ConvStage::join_forward_statistics(const Pass& pass, LayerRecord& of_layer) {
  auto& record = static_cast<Record&>(of_layer);
  norm_->join_forward(pass, record.tile_statistics, gamma(), beta());
}

void ConvStage::forward(const Pass& pass, index_t tile, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  const IndexRange rows = pass.tiles().rows(tile);
  ops::fused_conv_forward(
      pass.context, shape_, record.input.rows_from(rows), weights(pass.tiles().set(tile)),
      {record.output.rows_from(rows), record.argmax_place.data() + rows.begin * out_features()});
}

void ConvStage::begin_backward(const Pass& pass, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  if (!norm_) return;
  record.tile_statistics =
      pass.workspace().allocate<double>(pass.tiles().local_count() * 2 * shape_.out_channels);
  record.products = pass.workspace().allocate<double>(pass.tiles().local_count() * shape_.weight_count());
}

ops::ConvTile ConvStage::tile_of(const Pass& pass, const Record& record, index_t tile, IndexRange rows) const {
  return {.images = record.input.rows_from(rows),
          .pooled = {record.output.rows_from(rows), record.argmax_place.data() + rows.begin * out_features(),
                     record.d_output.rows_from(rows)},
          .workspace = of_tile(record.scratch, tile, scratch_floats(pass.tiles()))};
}

ops::ConvTileSums ConvStage::tile_sums(const Record& record, index_t tile) const {
  const index_t channels = shape_.out_channels;
  const Span<double> sums = of_tile(record.tile_statistics, tile, 2 * channels);
  return {of_tile(record.patch_sums, tile, ops::conv_patch_sums_count(shape_)), sums.first(channels),
          sums.subspan(channels), of_tile(record.products, tile, shape_.weight_count())};
}

void ConvStage::backward_statistics(const Pass& pass, index_t tile, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  ops::fused_conv_bn_backward_sums(pass.context, shape_,
                                   tile_of(pass, record, tile, pass.tiles().samples(tile)),
                                   norm_view(pass.tiles().set(tile)), tile_sums(record, tile));
}

void ConvStage::join_backward_statistics(const Pass& pass, LayerRecord& of_layer) {
  auto& record = static_cast<Record&>(of_layer);
  norm_->join_backward(pass, record.tile_statistics, shape_.conv_height() * shape_.conv_width());
}

void ConvStage::backward(const Pass& pass, index_t tile, LayerRecord& of_layer, tensor::Matrix d_input,
                         float* partial) const {
  auto& record = static_cast<Record&>(of_layer);
  SY_EXPECTS(d_input.data == nullptr,
             "the fused convolution is a network's first layer and gives no input gradient");
  const index_t channels = shape_.out_channels;
  float* next = partial + shape_.weight_count();
  if (!norm_) {
    ops::fused_conv_backward(pass.context, shape_, tile_of(pass, record, tile, pass.tiles().rows(tile)),
                             partial, next);
    return;
  }
  const ops::ConvTileSums sums = tile_sums(record, tile);
  ops::fused_conv_bn_backward(pass.context, shape_, norm_view(pass.tiles().set(tile)), sums, partial);
  if (has_bias()) {
    // The norm takes the mean away, so the bias has no effect.
    std::fill_n(next, channels, 0.0F);
    next += channels;
  }
  for (index_t c = 0; c < channels; ++c) {
    next[c] = static_cast<float>(sums.sum_dy_xhat[c]);        // d_gamma
    next[channels + c] = static_cast<float>(sums.sum_dy[c]);  // d_beta
  }
}

}  // namespace switchyard::nn
