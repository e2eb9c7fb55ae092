#include "nn/network_shape.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "nn/layer_text.hpp"
#include "nn/network.hpp"
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

// Beyond these a size would be no number that a step could be planned with.
constexpr double most_features = 1e9, most_parameters = 1e13;

double parameters_of(const Network& network) {
  double all = 0;
  for (index_t l = 0; l < network.layer_count(); ++l) {
    for (const Parameter& parameter : network.layer(l).parameters()) {
      double count = 1;
      for (const index_t extent : parameter.shape) count *= static_cast<double>(extent);
      all += count;
    }
  }
  return all;
}

}  // namespace

void LayerText::expect_countable(const tensor::SampleShape& made) const {
  const double features =
      static_cast<double>(made.channels) * static_cast<double>(made.height) * static_cast<double>(made.width);
  if (features <= most_features) return;
  throw ConfigError(fmt::format(
      "layer {} of the {} makes {:.3g} numbers of a sample (at most {:.0e} are computed with); give a smaller number "
      "in model.{}",
      next, network, features, most_features, network));
}

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
          "layer {} of the {}, {}, cannot stand there (convolutions come first: `conv:N [batch_norm] relu "
          "max_pool`, then any number of `padded_conv:N [batch_norm] [relu or relu6] [max_pool]`, pointwise and "
          "depthwise ones and residual blocks; after them only `global_average_pool` and `dense:N [relu]` can follow; "
          "patch filters stand alone); change model.{}",
          text.next + 1, name, word_of(spec[text.next]), name));
    }
    shape.layers.push_back(*layer);
    text.expect_countable(text.sample);
  }
  if (const double parameters = parameters_of(Network(shape)); parameters > most_parameters) {
    throw ConfigError(fmt::format(
        "the {} has {:.3g} parameters (at most {:.0e} are computed with); give smaller numbers in model.{}",
        name, parameters, most_parameters, name));
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
