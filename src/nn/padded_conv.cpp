#include "nn/padded_conv.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/batch_norm.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "ops/conv2d.hpp"
#include "ops/reduce.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

// Images whose input and convolution together fill half of a core's second-level cache, at most 128. A piece
// copies the weights into the library's order: where they are many, it holds at least twice as many values, so
// that the copy is cheap beside the arithmetic.
index_t piece_rows(const PaddedConvShape& shape) {
  constexpr index_t cache_floats = (index_t{1} << 20) / size_of<float>;
  const index_t floats = std::max(cache_floats, 2 * shape.weight_count());
  const index_t of_image = shape.in_features() + shape.norm_pool().in_features();
  index_t rows = 1;
  while (rows < 128 && 2 * rows * of_image <= floats) rows *= 2;
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
      : NormedConv(names, shape.in_channels, shape.out_channels,
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
  // The convolution, and the moments of the tile's samples; the whole batch's follow in
  // join_forward_statistics.
  void forward_statistics(const Pass& pass, IndexRange tiles, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t channels = shape_.out_channels;
    const bool training = !record.tile_statistics.empty();
    auto* const of_rows = reinterpret_cast<ops::Moments*>(record.row_statistics.data());
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const IndexRange samples = pass.tiles().samples(tile);
      const index_t set = pass.tiles().set(tile);
      for_each_piece(pass.tiles().rows(tile), [&](IndexRange piece) {
        convolve(pass.context, set, piece, record);
        const index_t count = std::min(piece.end, samples.end) - piece.begin;
        if (!training || count <= 0) return;
        ops::channel_moments(pass.context, shape_.norm_pool(), record.convolved.rows_from(piece.begin, count),
                             {of_rows + piece.begin * channels, count * channels});
      });
      if (!training) continue;
      auto* const of_tile = reinterpret_cast<ops::Moments*>(record.tile_statistics.data()) + tile * channels;
      ops::merge_moments(pass.context, {of_rows + samples.begin * channels, samples.size() * channels},
                         {of_tile, channels});
    }
  }
  void join_forward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    auto& record = static_cast<Record&>(of_layer);
    norm_->join_forward(pass, record.tile_statistics, gamma(), beta());
  }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    for (index_t tile = run.tiles.begin; tile < run.tiles.end; ++tile) {
      const index_t set = pass.tiles().set(tile);
      for_each_piece(pass.tiles().rows(tile), [&](IndexRange piece) {
        if (!norm_) convolve(pass.context, set, piece, record);
        normalise_and_pool(pass.context, set, piece, record);
      });
    }
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
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const IndexRange samples = pass.tiles().samples(tile);
      const ops::NormView norm = norm_view(pass.tiles().set(tile));
      const Span<double> of_rows = record.row_statistics.subspan(samples.begin * width, samples.size() * width);
      ops::norm_pool_backward_sums(pass.context, shape_.norm_pool(), norm, pooled(record, samples, samples.end),
                                   of_rows);
      ops::add_backward_sums(pass.context, norm, of_rows, record.tile_statistics.subspan(tile * width, width));
    }
  }
  void join_backward_statistics(const Pass& pass, LayerRecord& of_layer) override {
    auto& record = static_cast<Record&>(of_layer);
    norm_->join_backward(pass, record.tile_statistics, shape_.norm_pool().places());
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile)
      backward_tile(pass, tile, static_cast<Record&>(of_layer), d_input, partials.of(tile - tiles.begin));
  }

 private:
  ops::Conv2dShape conv(index_t rows) const {
    return {.batch = rows,
            .in_channels = shape_.in_channels,
            .height = shape_.height,
            .width = shape_.width,
            .out_channels = shape_.out_channels,
            .kernel_height = 3,
            .kernel_width = 3,
            .padding_height = 1,
            .padding_width = 1};
  }
  void for_each_piece(IndexRange rows, const auto& body) const {
    for (index_t first = rows.begin; first < rows.end; first += piece_rows_) {
      body(IndexRange{first, std::min(rows.end, first + piece_rows_)});
    }
  }
  const float* library_input(const Record& record, index_t row) const {
    return (record.gathered_input.empty() ? record.input.base[0] : record.gathered_input.data()) +
           row * in_features();
  }
  void convolve(device::Context& context, index_t set, IndexRange piece, Record& record) const {
    if (!record.gathered_input.empty()) {
      SY_EXPECTS(shape_.in_order == ops::ImageOrder::channels_first,
                 "images of {} channels come from the layer before, side by side", shape_.in_channels);
      ops::reorder_images(
          context, record.input.rows_from(piece), {shape_.in_channels, shape_.height * shape_.width},
          ops::ImageOrder::channels_last,
          {record.gathered_input.data() + piece.begin * in_features(), piece.size(), in_features()});
    }
    ops::conv2d_forward(conv(piece.size()), library_input(record, piece.begin), weight(set), bias(set),
                        record.convolved.row(piece.begin));
  }
  void normalise_and_pool(device::Context& context, index_t set, IndexRange piece, Record& record) const {
    ops::norm_pool_forward(
        context, shape_.norm_pool(), record.convolved.rows_from(piece), affine(set),
        {record.output.rows_from(piece),
         shape_.max_pool ? record.argmax_place.data() + piece.begin * out_features() : nullptr});
  }
  // Those of `rows` before place `samples` are samples.
  ops::NormPoolRows pooled(const Record& record, IndexRange rows, index_t samples) const {
    return {.z = record.convolved.rows_from(rows),
            .pooled = {record.output.rows_from(rows),
                       shape_.max_pool ? record.argmax_place.data() + rows.begin * out_features() : nullptr,
                       record.d_output.rows_from(rows)},
            .samples = samples - rows.begin};
  }
  void backward_tile(const Pass& pass, index_t tile, Record& record, tensor::Matrix d_input,
                     float* partial) const {
    const IndexRange rows = pass.tiles().rows(tile);
    const IndexRange samples = pass.tiles().samples(tile);
    const index_t set = pass.tiles().set(tile);
    const index_t channels = shape_.out_channels;
    // Weight, then bias where there is one.
    const Span<float> sums{partial, shape_.weight_count() + bias_count()};
    const Span<float> more = record.scratch.subspan(tile * (shape_.weight_count() + channels), sums.size());
    if (rows.empty()) std::ranges::fill(sums, 0.0F);
    for_each_piece(rows, [&](IndexRange piece) {
      const ops::NormPoolRows of_piece = pooled(record, piece, samples.end);
      ops::norm_pool_backward(pass.context, shape_.norm_pool(), norm_view(set), of_piece);
      const bool first = piece.begin == rows.begin;
      float* const to = first ? sums.data() : more.data();
      ops::conv2d_backward_weights(conv(piece.size()), library_input(record, piece.begin), of_piece.z.data, to,
                                   norm_ ? nullptr : to + shape_.weight_count());
      if (!first) ops::add_to(pass.context, more, sums);
      if (d_input.data != nullptr) input_gradient(pass.context, set, piece, record, d_input);
    });
    if (!norm_) return;
    const Span<const double> norm_sums = record.tile_statistics.subspan(tile * 2 * channels, 2 * channels);
    norm_gradients(norm_sums.first(channels), norm_sums.last(channels), partial + shape_.weight_count());
  }
  // The piece's convolved values are their gradient by now. A copy of the input that the weight gradient has
  // read makes room for the gradient in the library's order.
  void input_gradient(device::Context& context, index_t set, IndexRange piece, Record& record,
                      tensor::Matrix d_input) const {
    const bool reordered = shape_.in_order == ops::ImageOrder::channels_first;
    float* const copy = record.gathered_input.data() + piece.begin * in_features();
    SY_EXPECTS(d_input.stride == in_features(), "gradient rows of {} floats lie {} apart", in_features(),
               d_input.stride);
    ops::conv2d_backward_data(conv(piece.size()), record.convolved.row(piece.begin), weight(set),
                              reordered ? copy : d_input.row(piece.begin));
    if (!reordered) return;
    ops::reorder_images(context, tensor::ConstMatrix(copy, piece.size(), in_features()),
                        {shape_.in_channels, shape_.height * shape_.width}, ops::ImageOrder::channels_first,
                        d_input.rows_from(piece));
  }

  PaddedConvShape shape_;
  index_t piece_rows_;
};

}  // namespace

std::optional<PaddedConvShape> PaddedConvShape::read(LayerText& text) {
  using Kind = LayerSpec::Kind;
  if (!text.at(Kind::padded_conv)) return {};
  const tensor::SampleShape image = text.sample;
  PaddedConvShape shape{.in_channels = image.channels,
                        .height = image.height,
                        .width = image.width,
                        .out_channels = text.take_outputs(),
                        .in_order = text.order};
  shape.batch_norm = text.take(Kind::batch_norm);
  shape.relu = text.take(Kind::relu);
  shape.max_pool = text.take(Kind::max_pool);
  if (shape.max_pool && (image.height < 2 || image.width < 2)) {
    throw ConfigError(fmt::format(
        "layer {} of the {}, max_pool, is given images of {} x {} pixels (it takes the largest of 2 x 2); "
        "remove it, or pool less often before it",
        text.next, text.network, image.height, image.width));
  }
  if (text.at(Kind::padded_conv)) shape.out_order = ops::ImageOrder::channels_last;
  text.order = shape.out_order;
  text.sample = {shape.out_channels, shape.norm_pool().out_height(), shape.norm_pool().out_width()};
  return shape;
}

std::unique_ptr<Layer> PaddedConvShape::make(LayerNames& names, const NetworkOptions&) const {
  return std::make_unique<PaddedConv>(names, *this);
}

}  // namespace switchyard::nn
