#include "nn/conv_stage.hpp"

#include <fmt/format.h>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/batch_norm.hpp"
#include "nn/device_limits.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "ops/batch_norm.hpp"
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

// The rows of a run's tiles of [tiles, width].
template <class T>
Span<T> of_tiles(Span<T> all, IndexRange tiles, index_t width) {
  return all.subspan(tiles.begin * width, tiles.size() * width);
}

class ConvStage final : public NormedConv {
 public:
  ConvStage(LayerNames& names, const ConvStageShape& shape)
      : NormedConv(names, shape.in_channels, shape.out_channels, 3,
                   {.bias = !shape.batch_norm || shape.padding == 0, .batch_norm = shape.batch_norm}),
        shape_(shape) {}

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  index_t training_multiply_adds(bool /*behind*/) const override {
    return shape_.multiply_adds() + shape_.gradient_multiply_adds();
  }
  // And the places of the maxima, a byte each.
  double activation_floats() const override { return 2.25 * static_cast<double>(out_features()); }

  void hold(index_t sets, device::MemoryKind memory) override {
    NormedConv::hold(sets, memory);
    expect_scratch(memory, "fused convolution", ops::fused_conv_scratch_bytes(shape_));
  }

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
  // Moments of the tiles; the whole batch's follow in join_forward_statistics.
  void forward_statistics(const Pass& pass, IndexRange tiles, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    if (record.tile_statistics.empty()) return;  // evaluation: running statistics
    const ops::TileView view = pass.tiles().view(tiles);
    const Span<double> patch_sums = of_tiles(record.patch_sums, tiles, ops::conv_patch_sums_count(shape_));
    ops::conv_patch_sums(pass.context, shape_, view, record.input, scratch(pass, record, tiles), patch_sums);
    auto* const moments = reinterpret_cast<ops::Moments*>(record.tile_statistics.data());
    ops::conv_moments(pass.context, shape_, view, patch_sums, weights(),
                      {moments + tiles.begin * channels(), tiles.size() * channels()});
  }
  void join_forward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    norm_->join_forward(pass, static_cast<Record&>(of_layer).tile_statistics, gamma(), beta());
  }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    ops::fused_conv_forward(pass.context, shape_, pass.tiles().view(run.tiles), record.input, weights(),
                            {record.output, record.argmax_place.data()});
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
    ops::fused_conv_bn_backward_sums(pass.context, shape_, conv_tiles(pass, record, tiles), conv_norm_view(),
                                     tile_sums(record, tiles));
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
    const index_t weights = shape_.weight_count();
    if (!norm_) {
      ops::fused_conv_backward(pass.context, shape_, conv_tiles(pass, record, tiles),
                               partials.matrix(tiles.size(), weights + channels()));
      return;
    }
    const ops::ConvTileSums sums = tile_sums(record, tiles);
    ops::fused_conv_bn_backward(pass.context, shape_, pass.tiles().view(tiles), conv_norm_view(), sums,
                                partials.matrix(tiles.size(), weights));
    ops::norm_gradients(pass.context, channels(), sums.sum_dy, bias_count(),
                        partials.from(weights).matrix(tiles.size(), bias_count() + 2 * channels()));
  }

 private:
  index_t channels() const { return shape_.out_channels; }
  ops::ConvWeights weights() const { return {weight(), bias(), affine()}; }
  ops::ConvBatchNormView conv_norm_view() const { return {weight(), bias(), norm_view()}; }
  // Of a kernel's workspace, for one tile.
  index_t scratch_floats(const BatchTiles& tiles) const {
    return ops::fused_conv_workspace_floats(shape_, tiles.most_tile_rows());
  }
  Span<float> scratch(const Pass& pass, const Record& record, IndexRange tiles) const {
    return of_tiles(record.scratch, tiles, scratch_floats(pass.tiles()));
  }
  ops::ConvTiles conv_tiles(const Pass& pass, const Record& record, IndexRange tiles) const {
    return {.tiles = pass.tiles().view(tiles),
            .images = record.input,
            .pooled = {record.output, record.argmax_place.data(), record.d_output},
            .workspace = scratch(pass, record, tiles)};
  }
  ops::ConvTileSums tile_sums(const Record& record, IndexRange tiles) const {
    return {of_tiles(record.patch_sums, tiles, ops::conv_patch_sums_count(shape_)),
            of_tiles(record.tile_statistics, tiles, 2 * channels()),
            of_tiles(record.products, tiles, shape_.weight_count())};
  }

  ops::FusedConvShape shape_;
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
  const bool strided = text.spec[text.next].stride > 1;
  const bool pooled = rest.take(Kind::relu) && rest.take(Kind::max_pool);
  // Behind it images lie channels first, and a block that adds what it was given wants them last.
  const bool in_block = rest.at(Kind::residual) || rest.at(Kind::inverted_residual);
  if (padded && (strided || !pooled || in_block || image.channels > 4 || image.height < 2 || image.width < 2))
    return {};
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
