#include "nn/network_shape.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "nn/layer_text.hpp"
#include "nn/residual_blocks.hpp"

namespace switchyard::nn {
namespace {

template <class Shape>
std::optional<LayerShape> read(LayerText& text) {
  return Shape::read(text);
}

// Those that a text can ask for, in the order in which they are asked whether the next words are theirs.
constexpr auto readers = {read<ConvStageShape>, read<PaddedConvShape>, read<PatchFiltersShape>,
                          read<GlobalAveragePoolShape>, read<DenseShape>};

}  // namespace

LayerShape product_shape(const Quantisation& quantisation, std::string_view name, index_t in, index_t out,
                         index_t matrices) {
  switch (quantisation.quantiser) {
    case Quantiser::none:
      return DenseShape{.in = in, .out = out, .bias = false, .name = name};
    case Quantiser::bitnet:
      return TernaryShape{in, out, name, matrices, quantisation.integer_products};
  }
  return DenseShape{};
}

NetworkShape NetworkShape::resolve(std::string_view name, Span<const LayerSpec> spec, tensor::SampleShape input,
                                   index_t outputs) {
  NetworkShape shape;
  for (LayerText text{name, spec, outputs, input}; text.next < spec.size();) {
    if (read_residual_block(text, shape)) continue;
    std::optional<LayerShape> layer;
    for (const auto& reader : readers) {
      if (!layer) layer = reader(text);
    }
    if (!layer) {
      throw ConfigError(fmt::format(
          "layer {} of the {} cannot stand there (convolutions come first: `conv:N [batch_norm] relu "
          "max_pool`, then any number of `padded_conv:N [batch_norm] [relu] [max_pool]`, pointwise and depthwise "
          "ones and residual blocks; after them only `global_average_pool` and `dense:N [relu]` can follow; patch "
          "filters stand alone); change model.{}",
          text.next + 1, name, name));
    }
    shape.layers.push_back(*layer);
  }
  return shape;
}

std::optional<std::size_t> NetworkShape::hidden_layer() const {
  std::optional<std::size_t> before, last;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool is_pool = std::holds_alternative<GlobalAveragePoolShape>(layers[i]);
    if (!is_pool && !std::holds_alternative<DenseShape>(layers[i])) continue;
    before = last;
    last = i;
  }
  return before;
}

index_t NetworkShape::hidden() const {
  const std::optional<std::size_t> layer = hidden_layer();
  if (!layer) return 0;
  const auto* const pool = std::get_if<GlobalAveragePoolShape>(&layers[*layer]);
  return pool != nullptr ? pool->image.channels : std::get<DenseShape>(layers[*layer]).out;
}

void NetworkShape::show_hidden() {
  shown = hidden_layer();
  if (!shown) return;
  if (!std::holds_alternative<DenseShape>(layers[*shown])) return;
  auto& dense = std::get<DenseShape>(layers[*shown]);
  const RowFunctionShape relu{RowFunctionShape::Kind::relu, dense.out};
  if (std::exchange(dense.relu, false))
    layers.insert(layers.begin() + static_cast<std::ptrdiff_t>(*shown + 1), relu);
}

}  // namespace switchyard::nn
