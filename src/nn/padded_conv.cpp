#include "nn/padded_conv.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/batch_norm.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "ops/batch_norm.hpp"
#include "ops/conv2d.hpp"
#include "ops/counted.hpp"
#include "ops/reduce.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

// Images whose input and convolution together fill half of a core's second-level cache, at most 16: of an
// expert with few samples, no more than that are computed for nothing. A piece copies the weights into the
// library's order, so each of them meets at least 256 places.
index_t piece_rows(const PaddedConvShape& shape) {
  constexpr index_t cache_floats = (index_t{1} << 20) / size_of<float>;
  const ops::NormPoolShape after = shape.norm_pool();
  index_t rows = 1;
  while (rows < 16 && 2 * rows * (shape.in_features() + after.in_features()) <= cache_floats) rows *= 2;
  while (rows < 128 && rows * after.places() < 256) rows *= 2;
  return rows;
}

struct Record : LayerRecord {
  tensor::Matrix convolved;         // before what follows; backward overwrites it with its gradient
  Span<std::uint8_t> argmax_place;  // place of each maximum in its window
  Span<float> gathered_input;       // in the library's order; empty where the input lies so
  Span<float> scratch;              // [tiles, weight and bias]
  // Batch norm: [tiles, width], to be joined over all ranks; and [rows, width], which a tile's are the sums of.
  Span<double> tile_statistics, row_statistics;
};

// A tile is worked through in pieces of a few images, whose convolutions stay in the cache until what follows
// has read them; how many is a function of the shape only.
class PaddedConv final : public NormedConv {
 public:
  PaddedConv(LayerNames& names, const PaddedConvShape& shape)
      : NormedConv(names, shape.kernel_channels(), shape.out_channels, shape.kernel,
                   {.bias = !shape.batch_norm, .batch_norm = shape.batch_norm}),
        shape_(shape),
        piece_rows_(piece_rows(shape)) {}

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  // The convolution, the result and its gradient, the places of maxima (a byte each), a copy in another order.
  double activation_floats() const override {
    return static_cast<double>(shape_.norm_pool().in_features()) +
           static_cast<double>(shape_.out_features()) * (shape_.max_pool ? 2.25 : 2.0) +
           (shape_.in_order == ops::ImageOrder::channels_first ? static_cast<double>(shape_.in_features())
                                                               : 0.0);
  }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t rows = pass.tiles().local_rows();
    const index_t channels = shape_.out_channels;
    const ops::NormPoolShape after = shape_.norm_pool();
    record.output = tensor::allocate_matrix(pass.workspace(), rows, after.out_features());
    record.convolved = tensor::allocate_matrix(pass.workspace(), rows, after.in_features());
    record.argmax_place = {};
    if (shape_.max_pool)
      record.argmax_place = pass.workspace().allocate<std::uint8_t>(rows * after.out_features());
    // The library reads rows side by side, channels last.
    record.gathered_input = {};
    const bool as_it_lies = record.input.in_order() && record.input.stride[0] == in_features() &&
                            shape_.in_order == ops::ImageOrder::channels_last;
    if (!as_it_lies) record.gathered_input = pass.workspace().allocate<float>(rows * in_features());
    record.tile_statistics = {};
    if (norm_ && pass.is_training()) {
      record.tile_statistics =
          pass.workspace().allocate<double>(pass.tiles().local_count() * channels * BatchNorm::moments_width);
      record.row_statistics =
          pass.workspace().allocate<double>(rows * channels * BatchNorm::moments_width);  // of rows
    }
  }
  // The convolution, and the moments of the tiles' samples; the whole batch's follow in
  // join_forward_statistics.
  void forward_statistics(const Pass& pass, IndexRange tiles, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t channels = shape_.out_channels;
    const bool training = !record.tile_statistics.empty();
    const Span<ops::Moments> of_rows{reinterpret_cast<ops::Moments*>(record.row_statistics.data()),
                                     training ? record.convolved.rows * channels : 0};
    for_each_piece(pass, tiles, {}, [&](const TileRun& piece) {
      convolve(pass, piece, record);
      if (!training) return;
      ops::channel_moments(pass.context, shape_.norm_pool(), pass.tiles().rows_of_each(piece), record.convolved,
                           of_rows);
    });
    if (!training) return;
    auto* const moments = reinterpret_cast<ops::Moments*>(record.tile_statistics.data());
    ops::merge_moments(pass.context, pass.tiles().view(tiles), of_rows,
                       {moments + tiles.begin * channels, tiles.size() * channels});
  }
  void join_forward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    auto& record = static_cast<Record&>(of_layer);
    norm_->join_forward(pass, record.tile_statistics, gamma(), beta());
  }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    for_each_piece(pass, run.tiles, record.output, [&](const TileRun& piece) {
      if (!norm_) convolve(pass, piece, record);
      ops::norm_pool_forward(pass.context, shape_.norm_pool(), pass.tiles().rows_of_each(piece),
                             record.convolved, affine(), {record.output, argmax_place(record)}, record.skip);
    });
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    // The weight gradient of a piece that is not its tile's first.
    record.scratch = pass.workspace().allocate<float>(pass.tiles().local_count() *
                                                      (shape_.weight_count() + shape_.out_channels));
    if (!norm_) return;
    const index_t width = 2 * shape_.out_channels;
    record.tile_statistics = pass.workspace().allocate<double>(pass.tiles().local_count() * width);
    record.row_statistics = pass.workspace().allocate<double>(pass.tiles().local_rows() * width);
  }
  void backward_statistics(const Pass& pass, IndexRange tiles, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t width = 2 * shape_.out_channels;
    const ops::TileView view = pass.tiles().view(tiles);
    ops::norm_pool_backward_sums(pass.context, shape_.norm_pool(), view, norm_view(), pooled(record),
                                 record.row_statistics);
    ops::add_backward_sums(pass.context, view, norm_view(), record.row_statistics,
                           record.tile_statistics.subspan(tiles.begin * width, tiles.size() * width));
  }
  void skip_gradient(const Pass& pass, IndexRange tiles, const LayerRecord& of_layer, tensor::Matrix d_skip,
                     ops::SkipGradient how) const override {
    const auto& record = static_cast<const Record&>(of_layer);
    ops::skip_gradient(pass.context, shape_.norm_pool(), pass.tiles().view(tiles), pooled(record).pooled,
                       d_skip, how);
  }
  void join_backward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    auto& record = static_cast<Record&>(of_layer);
    norm_->join_backward(pass, record.tile_statistics, shape_.norm_pool().places());
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t weights = shape_.weight_count();
    const index_t width = 2 * shape_.out_channels;
    for_each_piece(pass, tiles, d_input, [&](const TileRun& piece) {
      ops::norm_pool_backward(pass.context, shape_.norm_pool(), pass.tiles().rows_of_each(piece), norm_view(),
                              pooled(record));
      weight_gradients(pass, piece, record,
                       partials.from((piece.tiles.begin - tiles.begin) * partials.stride)
                           .matrix(piece.tiles.size(), weights + bias_count()));
      if (d_input.data != nullptr) input_gradient(pass, piece, record, d_input);
    });
    if (!norm_) return;
    ops::norm_gradients(pass.context, shape_.out_channels,
                        record.tile_statistics.subspan(tiles.begin * width, tiles.size() * width), 0,
                        partials.from(weights).matrix(tiles.size(), width));
  }

 private:
  // On a CPU pieces of one tile's images, of a tile without samples one that is empty. What is left of a tile
  // is padding and not computed: its rows of `result` become zeros. A GPU takes all tiles.
  void for_each_piece(const Pass& pass, IndexRange tiles, tensor::Matrix result, const auto& body) const {
    if (pass.context.device() == device::DeviceKind::cuda) return body(pass.tiles().run(tiles));
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const IndexRange rows = pass.tiles().rows(tile);
      const IndexRange samples = pass.tiles().samples(tile);
      index_t first = rows.begin;
      do {
        const index_t end = samples.empty() ? first : std::min(rows.end, first + piece_rows_);
        const TileRun piece{{tile, tile + 1}, {first, end}};
        const ops::PaddedRows padded(end - first, pass.tiles().padding(piece));
        body(piece);
        first = end;
      } while (first < samples.end);
      if (result.data == nullptr) continue;
      for (index_t row = first; row < rows.end; ++row) std::fill_n(result.row(row), result.cols, 0.0F);
    }
  }
  const float* library_input(const Record& record) const {
    return record.gathered_input.empty() ? record.input.base[0] : record.gathered_input.data();
  }
  std::uint8_t* argmax_place(const Record& record) const {
    return shape_.max_pool ? record.argmax_place.data() : nullptr;
  }
  ops::NormPoolRows pooled(const Record& record) const {
    return {.z = record.convolved, .pooled = {record.output, argmax_place(record), record.d_output}};
  }
  void convolve(const Pass& pass, const TileRun& piece, Record& record) const {
    if (!record.gathered_input.empty()) {
      SY_EXPECTS(shape_.in_order == ops::ImageOrder::channels_first,
                 "images of {} channels come from the layer before, side by side", shape_.in_channels);
      ops::reorder_images(
          pass.context, record.input.rows_from(piece.rows), {shape_.in_channels, shape_.height * shape_.width},
          ops::ImageOrder::channels_last,
          {record.gathered_input.data() + piece.rows.begin * in_features(), piece.rows.size(), in_features()});
    }
    pass.tiles().for_each_set(piece, [&](index_t set, IndexRange rows) {
      ops::conv2d_forward(pass.context, shape_.conv(rows.size()),
                          library_input(record) + rows.begin * in_features(), weight().of(set), bias().of(set),
                          record.convolved.row(rows.begin));
    });
  }
  // Of each tile of the piece, weight and then bias where there is one. The convolved values are their gradient
  // by now.
  void weight_gradients(const Pass& pass, const TileRun& piece, const Record& record,
                        tensor::Matrix gradients) const {
    const ops::TileRows rows = pass.tiles().rows_of_each(piece);
    const bool continues = rows.first > 0;  // what an earlier piece of the tile has begun
    const index_t stride = shape_.weight_count() + shape_.out_channels;
    const Span<float> more = record.scratch.subspan(piece.tiles.begin * stride, gradients.cols);
    const tensor::Matrix to = continues ? tensor::Matrix(more.data(), 1, gradients.cols) : gradients;
    ops::conv2d_backward_weights_of_tiles(pass.context, shape_.conv(0), rows, library_input(record),
                                          record.convolved.data, to);
    if (continues) ops::add_to(pass.context, more, {gradients.data, gradients.cols});
  }
  // A copy of the input that the weight gradient has read makes room for the gradient in the library's order.
  void input_gradient(const Pass& pass, const TileRun& piece, Record& record, tensor::Matrix d_input) const {
    const bool reordered = shape_.in_order == ops::ImageOrder::channels_first;
    SY_EXPECTS(d_input.stride == in_features(), "gradient rows of {} floats lie {} apart", in_features(),
               d_input.stride);
    float* const to = reordered ? record.gathered_input.data() : d_input.data;
    pass.tiles().for_each_set(piece, [&](index_t set, IndexRange rows) {
      ops::conv2d_backward_data(pass.context, shape_.conv(rows.size()), record.convolved.row(rows.begin),
                                weight().of(set), to + rows.begin * in_features());
    });
    if (!reordered) return;
    ops::reorder_images(
        pass.context,
        tensor::ConstMatrix(to + piece.rows.begin * in_features(), piece.rows.size(), in_features()),
        {shape_.in_channels, shape_.height * shape_.width}, ops::ImageOrder::channels_first,
        d_input.rows_from(piece.rows));
  }

  PaddedConvShape shape_;
  index_t piece_rows_;
};

}  // namespace

ops::Conv2dShape PaddedConvShape::conv(index_t rows) const {
  return {.batch = rows,
          .in_channels = in_channels,
          .height = height,
          .width = width,
          .out_channels = out_channels,
          .kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = stride,
          .stride_width = stride,
          .padding_height = kernel / 2,
          .padding_width = kernel / 2,
          .depthwise = depthwise};
}

std::optional<PaddedConvShape> PaddedConvShape::read(LayerText& text) {
  using Kind = LayerSpec::Kind;
  const bool depthwise = text.at(Kind::depthwise_conv), pointwise = text.at(Kind::pointwise_conv);
  if (!depthwise && !pointwise && !text.at(Kind::padded_conv)) return {};
  const tensor::SampleShape image = text.sample;
  PaddedConvShape shape{.in_channels = image.channels,
                        .height = image.height,
                        .width = image.width,
                        .kernel = pointwise ? 1 : 3,
                        .stride = text.spec[text.next].stride,
                        .depthwise = depthwise,
                        .in_order = text.order};
  const index_t channels = text.take_outputs();
  shape.out_channels = depthwise ? image.channels : channels;
  shape.batch_norm = text.take(Kind::batch_norm);
  if (text.take(Kind::relu)) {
    shape.activation = ops::ImageActivation::relu;
  } else if (text.take(Kind::relu6)) {
    shape.activation = ops::ImageActivation::relu6;
  }
  shape.max_pool = text.take(Kind::max_pool);
  const ops::NormPoolShape after = shape.norm_pool();
  if (shape.max_pool && (after.height < 2 || after.width < 2)) {
    throw ConfigError(fmt::format(
        "layer {} of the {}, max_pool, is given images of {} x {} pixels (it takes the largest of 2 x 2); "
        "remove it, or pool less often before it",
        text.next, text.network, after.height, after.width));
  }
  shape.out_order = text.order_of_next();
  text.order = shape.out_order;
  text.sample = {shape.out_channels, after.out_height(), after.out_width()};
  return shape;
}

std::unique_ptr<Layer> PaddedConvShape::make(LayerNames& names, const NetworkOptions&) const {
  return std::make_unique<PaddedConv>(names, *this);
}

}  // namespace switchyard::nn
