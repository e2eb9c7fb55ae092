#include "nn/conv_stage.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/batch_norm.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

struct Record : LayerRecord {
  Span<std::uint8_t> argmax_place;  // place of each maximum in its window
  Span<float> scratch;              // [tiles, scratch_floats] of the kernels
  // Batch norm, [tiles, width]: what is joined over all ranks, moments and then sums; sums over patches; and
  // between the two passes of backward those of their products with the gradient.
  Span<double> tile_statistics, patch_sums, products;
};

// The tile's row of [tiles, width].
template <class T>
Span<T> of_tile(Span<T> all, index_t tile, index_t width) {
  return all.subspan(tile * width, width);
}

class ConvStage final : public NormedConv {
 public:
  ConvStage(LayerNames& names, const ConvStageShape& shape)
      : NormedConv(names, shape.in_channels, shape.out_channels,
                   {.bias = !shape.batch_norm || shape.padding == 0, .batch_norm = shape.batch_norm}),
        shape_(shape),
        no_bias_(bias_count() > 0 ? 0 : channels()) {}

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  index_t training_multiply_adds(bool /*behind*/) const override {
    return shape_.multiply_adds() + shape_.gradient_multiply_adds();
  }
  // And the places of the maxima, a byte each.
  double activation_floats() const override { return 2.25 * static_cast<double>(out_features()); }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t rows = pass.tiles().local_rows();
    const index_t tiles = pass.tiles().local_count();
    record.output = tensor::allocate_matrix(pass.workspace(), rows, out_features());
    record.argmax_place = pass.workspace().allocate<std::uint8_t>(rows * out_features());
    record.scratch = pass.workspace().allocate<float>(tiles * scratch_floats(pass.tiles()));
    record.tile_statistics = {};
    if (!norm_ || !pass.is_training()) return;
    record.tile_statistics = pass.workspace().allocate<double>(tiles * channels() * BatchNorm::moments_width);
    record.patch_sums = pass.workspace().allocate<double>(tiles * ops::conv_patch_sums_count(shape_));
  }
  // Moments of the tile; the whole batch's follow in join_forward_statistics.
  void forward_statistics(const Pass& pass, IndexRange tiles, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    if (record.tile_statistics.empty()) return;  // evaluation: running statistics
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const IndexRange rows = pass.tiles().samples(tile);
      const Span<double> patch_sums = of_tile(record.patch_sums, tile, ops::conv_patch_sums_count(shape_));
      ops::conv_patch_sums(pass.context, shape_, record.input.rows_from(rows),
                           of_tile(record.scratch, tile, scratch_floats(pass.tiles())), patch_sums);
      auto* const moments = reinterpret_cast<ops::Moments*>(record.tile_statistics.data()) + tile * channels();
      ops::conv_moments(pass.context, shape_, patch_sums, weights(pass.tiles().set(tile)),
                        {moments, channels()});
    }
  }
  void join_forward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    norm_->join_forward(pass, static_cast<Record&>(of_layer).tile_statistics, gamma(), beta());
  }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    pass.tiles().for_each_set(run, [&](index_t set, IndexRange rows) {
      ops::fused_conv_forward(pass.context, shape_, record.input.rows_from(rows), weights(set),
                              {record.output.rows_from(rows), places(record, rows)});
    });
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    if (!norm_) return;
    auto& record = static_cast<Record&>(of_layer);
    const index_t tiles = pass.tiles().local_count();
    record.tile_statistics = pass.workspace().allocate<double>(tiles * 2 * channels());
    record.products = pass.workspace().allocate<double>(tiles * shape_.weight_count());
  }
  void backward_statistics(const Pass& pass, IndexRange tiles, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
      ops::fused_conv_bn_backward_sums(pass.context, shape_,
                                       tile_of(pass, record, tile, pass.tiles().samples(tile)),
                                       conv_norm_view(pass.tiles().set(tile)), tile_sums(record, tile));
    }
  }
  void join_backward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    norm_->join_backward(pass, static_cast<Record&>(of_layer).tile_statistics,
                         shape_.conv_height() * shape_.conv_width());
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    SY_EXPECTS(d_input.data == nullptr,
               "the fused convolution is a network's first layer and gives no input gradient");
    auto& record = static_cast<Record&>(of_layer);
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile)
      backward_tile(pass, tile, record, partials.of(tile - tiles.begin));
  }

 private:
  index_t channels() const { return shape_.out_channels; }
  ops::ConvWeights weights(index_t set) const {
    return {weight(set), no_bias_.empty() ? bias(set) : no_bias_.data(), affine(set)};
  }
  // Of a kernel's workspace, for one tile.
  index_t scratch_floats(const BatchTiles& tiles) const {
    return ops::fused_conv_workspace_floats(shape_, tiles.most_tile_rows());
  }
  std::uint8_t* places(const Record& record, IndexRange rows) const {
    return record.argmax_place.data() + rows.begin * out_features();
  }
  ops::ConvTile tile_of(const Pass& pass, const Record& record, index_t tile, IndexRange rows) const {
    return {.images = record.input.rows_from(rows),
            .pooled = {record.output.rows_from(rows), places(record, rows), record.d_output.rows_from(rows)},
            .workspace = of_tile(record.scratch, tile, scratch_floats(pass.tiles()))};
  }
  ops::ConvTileSums tile_sums(const Record& record, index_t tile) const {
    const Span<double> sums = of_tile(record.tile_statistics, tile, 2 * channels());
    return {of_tile(record.patch_sums, tile, ops::conv_patch_sums_count(shape_)), sums.first(channels()),
            sums.subspan(channels()), of_tile(record.products, tile, shape_.weight_count())};
  }
  ops::ConvBatchNormView conv_norm_view(index_t set) const {
    return {weights(set).weight, weights(set).bias, norm_view(set)};
  }
  void backward_tile(const Pass& pass, index_t tile, const Record& record, float* partial) const {
    float* next = partial + shape_.weight_count();
    if (!norm_) {
      ops::fused_conv_backward(pass.context, shape_, tile_of(pass, record, tile, pass.tiles().rows(tile)),
                               partial, next);
      return;
    }
    const ops::ConvTileSums sums = tile_sums(record, tile);
    ops::fused_conv_bn_backward(pass.context, shape_, conv_norm_view(pass.tiles().set(tile)), sums, partial);
    // The norm takes the mean away, so a bias has no effect.
    next = std::fill_n(next, bias_count(), 0.0F);
    norm_gradients(sums.sum_dy, sums.sum_dy_xhat, next);
  }

  ops::FusedConvShape shape_;
  Vector<float> no_bias_;  // zeros, where there is none
};

}  // namespace

std::optional<ConvStageShape> ConvStageShape::read(LayerText& text) {
  using Kind = LayerSpec::Kind;
  LayerText rest = text;
  const tensor::SampleShape image = text.sample;
  const bool padded = rest.at(Kind::padded_conv);
  if (text.next > 0 || (!padded && !rest.at(Kind::conv))) return {};
  ConvStageShape shape{{image.channels, image.height, image.width, rest.take_outputs(), padded ? 1 : 0}};
  shape.batch_norm = rest.take(Kind::batch_norm);
  const bool pooled = rest.take(Kind::relu) && rest.take(Kind::max_pool);
  if (padded && (!pooled || image.channels > 4 || image.height < 2 || image.width < 2)) return {};
  if (!pooled) {
    throw ConfigError(
        fmt::format("the {} begins with a convolution that is not followed by `[batch_norm] relu max_pool` "
                    "(the stage is one fused kernel); write `conv:N relu max_pool` or `conv:N batch_norm "
                    "relu max_pool`, or padded_conv:N, which any of these may follow",
                    text.network));
  }
  if (!padded && (image.channels > 4 || image.height < 4 || image.width < 4)) {
    throw ConfigError(
        fmt::format("the {} convolves samples of {} x {} x {} (channels x height x width), and the fused "
                    "stage needs 1 to 4 channels and at least 4 x 4 pixels; use dense layers for such data",
                    text.network, image.channels, image.height, image.width));
  }
  text = rest;
  text.sample = {shape.out_channels, shape.pooled_height(), shape.pooled_width()};
  return shape;
}

std::unique_ptr<Layer> ConvStageShape::make(LayerNames& names, const NetworkOptions&) const {
  return std::make_unique<ConvStage>(names, *this);
}

}  // namespace switchyard::nn
