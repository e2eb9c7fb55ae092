// The layers that a network's text stands for.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/span.hpp"
#include "nn/conv_stage.hpp"
#include "nn/cosine.hpp"
#include "nn/dense.hpp"
#include "nn/global_average_pool.hpp"
#include "nn/network_spec.hpp"
#include "nn/options.hpp"
#include "nn/padded_conv.hpp"
#include "nn/patch_filters.hpp"
#include "nn/row_function.hpp"
#include "nn/ternary.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

// The kinds of layers: each is a shape with all its sizes, in a file of its own with the layer that make()
// gives.
using LayerShape = std::variant<ConvStageShape, PaddedConvShape, PatchFiltersShape, DenseShape, TernaryShape,
                                CosineShape, RowFunctionShape, GlobalAveragePoolShape>;

// x W of `matrices` equal matrices side by side, which is [in, out] together: dense or ternary.
LayerShape product_shape(const Quantisation& quantisation, std::string_view name, index_t in, index_t out,
                         index_t matrices = 1);

// Layers whose output a layer reads, by place; without one the layer before it.
struct LayerLinks {
  std::optional<std::size_t> input = {};
  std::optional<std::size_t> skip = {};  // and adds to its own
};

// What a network will be, before it holds any memory.
struct NetworkShape {
  std::vector<LayerShape> layers;
  std::map<std::size_t, LayerLinks> links = {};  // of those that have some
  std::optional<std::size_t> shown = {};         // the layer whose output is looked at from outside

  // `name` is for messages. `outputs` replaces the word `experts` or `classes`. Throws ConfigError for a layer
  // that cannot stand where it stands.
  static NetworkShape resolve(std::string_view name, Span<const LayerSpec> spec, tensor::SampleShape input,
                              index_t outputs);
  bool empty() const { return layers.empty(); }
  // Width of the layer before the last one if that is a dense layer or a global average; else 0.
  index_t hidden() const;
  // That layer, if there is one, shows its output before its ReLU: an expert's hidden vector.
  void show_hidden();

 private:
  std::optional<std::size_t> hidden_layer() const;
};

}  // namespace switchyard::nn
