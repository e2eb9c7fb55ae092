#include "nn/network.hpp"

#include <fmt/format.h>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/conv_stage.hpp"
#include "nn/dense.hpp"
#include "nn/patch_filters.hpp"
#include "nn/relu.hpp"
#include "ops/rows.hpp"

namespace switchyard::nn {

using Kind = config::LayerSpec::Kind;

GradientRule GradientPolicy::rule(index_t in, index_t out) const {
  if (!replicated) return GradientRule::whole_rows;
  return batch_size * (in + out) < shards * in * out ? GradientRule::whole_rows : GradientRule::per_tile;
}

namespace {

// The fused first stage at the head of `spec`; returns how many layers it takes up.
std::size_t resolve_conv(std::string_view name, std::span<const config::LayerSpec> spec,
                         tensor::SampleShape& image, NetworkShape& shape) {
  const auto is = [&](std::size_t i, Kind kind) { return i < spec.size() && spec[i].kind == kind; };
  shape.batch_norm = is(1, Kind::batch_norm);
  const std::size_t after = shape.batch_norm ? 2 : 1;
  if (!is(after, Kind::relu) || !is(after + 1, Kind::max_pool)) {
    throw ConfigError(
        fmt::format("the {} begins with a convolution that is not followed by `[batch_norm] relu max_pool` "
                    "(the stage is one fused kernel); write `conv:N relu max_pool` or `conv:N batch_norm "
                    "relu max_pool`",
                    name));
  }
  if (image.channels > 4 || image.height < 4 || image.width < 4) {
    throw ConfigError(
        fmt::format("the {} convolves samples of {} x {} x {} (channels x height x width), and the fused "
                    "stage needs 1 to 4 channels and at least 4 x 4 pixels; use dense layers for such data",
                    name, image.channels, image.height, image.width));
  }
  shape.conv = ops::FusedConvShape{image.channels, image.height, image.width, spec[0].outputs};
  image = {shape.conv->out_channels, shape.conv->pooled_height(), shape.conv->pooled_width()};
  return after + 2;
}

std::optional<ops::PatchActivation> activation_of(Kind kind) {
  switch (kind) {
    case Kind::relu:
      return ops::PatchActivation::relu;
    case Kind::cubic:
      return ops::PatchActivation::cubic;
    case Kind::celu:
      return ops::PatchActivation::celu;
    case Kind::gelu:
      return ops::PatchActivation::gelu;
    case Kind::tanh:
      return ops::PatchActivation::tanh;
    case Kind::conv:
    case Kind::batch_norm:
    case Kind::max_pool:
    case Kind::dense:
    case Kind::patch_filters:
    case Kind::bias:
    case Kind::sum:
    case Kind::attention:
    case Kind::loudest:
    case Kind::labels:
      return std::nullopt;
  }
  return std::nullopt;
}

// `patch_filters:N [bias] [ACTIVATION] sum`, all there is.
ops::PatchFilterShape resolve_patch_filters(std::string_view name, std::span<const config::LayerSpec> spec,
                                            tensor::SampleShape sample, index_t outputs) {
  ops::PatchFilterShape shape{sample.channels * sample.height, sample.width, outputs, spec[0].outputs};
  std::size_t next = 1;
  if (next < spec.size() && spec[next].kind == Kind::bias) {
    shape.bias = true;
    ++next;
  }
  if (next < spec.size() && activation_of(spec[next].kind))
    shape.activation = *activation_of(spec[next++].kind);
  if (next + 1 != spec.size() || spec[next].kind != Kind::sum) {
    throw ConfigError(fmt::format(
        "the {} begins with patch filters and is not `patch_filters:N [bias] [ACTIVATION] sum:WORD` (one "
        "fused layer, with an activation among relu, cubic, celu, gelu, tanh, or without one; WORD is experts "
        "in a gate, classes "
        "in an expert); change model.{}",
        name, name));
  }
  return shape;
}

}  // namespace

NetworkShape NetworkShape::resolve(std::string_view name, std::span<const config::LayerSpec> spec,
                                   tensor::SampleShape input, index_t outputs) {
  NetworkShape shape;
  if (!spec.empty() && spec[0].kind == Kind::patch_filters) {
    shape.patch_filters = resolve_patch_filters(name, spec, input, outputs);
    return shape;
  }
  std::size_t next = 0;
  if (!spec.empty() && spec[0].kind == Kind::conv) next = resolve_conv(name, spec, input, shape);
  index_t features = input.features();
  while (next < spec.size()) {
    if (spec[next].kind == Kind::attention) {
      // A query of the features, then the map that takes keys' scores to hidden vectors: u = (g W_q) W_k.
      shape.dense.push_back({.in = features, .out = outputs, .bias = false, .name = "query"});
      shape.dense.push_back({.in = outputs, .out = outputs, .bias = false, .name = "key"});
      return shape;
    }
    if (spec[next].kind != Kind::dense) {
      throw ConfigError(fmt::format(
          "layer {} of the {} cannot stand there (after a first stage `conv:N [batch_norm] relu "
          "max_pool`, only `dense:N [relu]` can follow; patch filters stand alone); change model.{}",
          next + 1, name, name));
    }
    const index_t units = spec[next].outputs == config::LayerSpec::from_task ? outputs : spec[next].outputs;
    const bool relu = next + 1 < spec.size() && spec[next + 1].kind == Kind::relu;
    shape.dense.push_back({.in = features, .out = units, .relu = relu});
    features = units;
    next += relu ? 2 : 1;
  }
  return shape;
}

index_t NetworkShape::layer_count() const {
  return (conv ? 1 : 0) + (patch_filters ? 1 : 0) + static_cast<index_t>(dense.size());
}

index_t NetworkShape::layer_outputs(index_t layer) const {
  SY_EXPECTS(layer >= 1 && layer <= layer_count(), "layer {} of {}", layer, layer_count());
  if (layer == 1 && conv) return conv->out_features();
  if (layer == 1 && patch_filters) return patch_filters->outputs;
  return dense[static_cast<std::size_t>(layer - (conv || patch_filters ? 2 : 1))].out;
}

index_t NetworkShape::parameter_count() const {
  index_t count = 0;
  if (conv) count += conv->weight_count() + conv->out_channels * (batch_norm ? 3 : 1);
  if (patch_filters) count += patch_filters->weight_count() + patch_filters->bias_count();
  for (const DenseShape& layer : dense) count += (layer.in + (layer.bias ? 1 : 0)) * layer.out;
  return count;
}

index_t NetworkShape::training_multiply_adds() const { return (patch_filters ? 2 : 3) * multiply_adds(); }

index_t NetworkShape::multiply_adds() const {
  index_t count = conv ? conv->conv_height() * conv->conv_width() * conv->weight_count() : 0;
  if (patch_filters) count += patch_filters->filtered_patches() * patch_filters->weight_count();
  for (const DenseShape& layer : dense) count += layer.in * layer.out;
  return count;
}

Network::Network(const std::string& name, const NetworkShape& shape, const NetworkOptions& options,
                 std::uint64_t seed) {
  if (shape.conv) {
    layers_.push_back(std::make_unique<ConvStage>(
        name + "/conv_1", shape.batch_norm ? name + "/batch_norm_1" : "", *shape.conv, seed, options.initial));
  }
  if (shape.patch_filters) {
    layers_.push_back(
        std::make_unique<PatchFilters>(name + "/patch_filters_1", *shape.patch_filters, seed, options.initial));
  }
  int number = 0;
  for (std::size_t i = 0; i < shape.dense.size(); ++i) {
    const DenseShape& layer = shape.dense[i];
    const bool hidden = shape.shows_hidden && i + 2 == shape.dense.size();
    const std::string layer_name = layer.name.empty() ? fmt::format("{}/dense_{}", name, ++number)
                                                      : fmt::format("{}/{}", name, layer.name);
    const Dense::Options dense{.activation = layer.relu && !hidden ? Activation::relu : Activation::none,
                               .bias = layer.bias,
                               .weight_rule = options.policy.rule(layer.in, layer.out),
                               .precision = options.precision,
                               .initial = options.initial};
    layers_.push_back(std::make_unique<Dense>(layer_name, layer.in, layer.out, dense, seed));
    if (!hidden) continue;
    hidden_layer_ = layers_.size() - 1;
    if (layer.relu) layers_.push_back(std::make_unique<Relu>(layer.out));
  }
  for (const auto& layer : layers_) {
    partial_offset_.push_back(partial_width_);
    for (const Parameter& parameter : layer->parameters()) {
      if (parameter.rule == GradientRule::per_tile) partial_width_ += parameter.value.count();
    }
  }
}

void Network::values_changed(device::Context& context) {
  for (const auto& layer : layers_) layer->values_changed(context);
}

void Network::begin_forward(device::Workspace& workspace, const BatchTiles& tiles, tensor::RowSource input,
                            Mode mode, NetworkRecord& record) const {
  record.layers.resize(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    record.layers[i].input = i == 0 ? input : tensor::RowSource(record.layers[i - 1].output);
    layers_[i]->begin_forward(workspace, tiles, mode, record.layers[i]);
  }
}

void Network::forward_tile(device::Context& context, const BatchTiles& tiles, index_t tile,
                           NetworkRecord& record) const {
  for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i]->forward(context, tiles, tile, record.layers[i]);
}

void Network::forward(device::Context& context, const BatchTiles& tiles, tensor::RowSource input, Mode mode,
                      NetworkRecord& record) {
  begin_forward(context.workspace(), tiles, input, mode, record);
  // Runs of layers between two points where statistics of the whole batch are needed.
  for (std::size_t first = 0; first < layers_.size();) {
    Layer& head = *layers_[first];
    if (head.needs_batch_statistics()) {
      context.pool().parallel_for(tiles.local_count(), [&](index_t tile) {
        head.forward_statistics(context, tiles, tile, record.layers[first]);
      });
      head.join_forward_statistics(context.workspace(), tiles, mode, record.layers[first]);
    }
    std::size_t end = first + 1;
    while (end < layers_.size() && !layers_[end]->needs_batch_statistics()) ++end;
    context.pool().parallel_for(tiles.local_count(), [&](index_t tile) {
      for (std::size_t i = first; i < end; ++i) layers_[i]->forward(context, tiles, tile, record.layers[i]);
    });
    first = end;
  }
}

void Network::begin_backward(device::Workspace& workspace, const BatchTiles& tiles,
                             NetworkRecord& record) const {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerRecord& layer = record.layers[i];
    layer.d_output = {workspace.allocate<float>(layer.output.rows * layer.output.cols).data(),
                      layer.output.rows, layer.output.cols};
    layers_[i]->begin_backward(workspace, tiles, layer);
  }
  record.d_hidden = {};
  if (hidden_layer_ == no_layer) return;
  const tensor::Matrix hidden = record.layers[hidden_layer_].output;
  record.d_hidden = {workspace.allocate<float>(hidden.rows * hidden.cols).data(), hidden.rows, hidden.cols};
}

tensor::Matrix Network::input_gradient(NetworkRecord& record, std::size_t layer, tensor::Matrix d_input) const {
  return layer == 0 ? d_input : record.layers[layer - 1].d_output;
}

void Network::backward_tile(device::Context& context, const BatchTiles& tiles, index_t tile,
                            NetworkRecord& record, float* partials, tensor::Matrix d_input) const {
  for (std::size_t i = layers_.size(); i-- > 0;)
    backward_layer(context, tiles, tile, record, i, partials, d_input);
}

void Network::backward_layer(device::Context& context, const BatchTiles& tiles, index_t tile,
                             NetworkRecord& record, std::size_t layer, float* partials,
                             tensor::Matrix d_input) const {
  LayerRecord& of_layer = record.layers[layer];
  if (layer == hidden_layer_) {
    const IndexRange rows = tiles.rows(tile);
    ops::add(context, record.d_hidden.rows_from(rows.begin, rows.size()),
             of_layer.d_output.rows_from(rows.begin, rows.size()));
  }
  layers_[layer]->backward(context, tiles, tile, of_layer, input_gradient(record, layer, d_input),
                           partials + tile * partial_width_ + partial_offset_[layer]);
}

void Network::backward(device::Context& context, const BatchTiles& tiles, NetworkRecord& record,
                       float* partials) {
  for (std::size_t end = layers_.size(); end > 0;) {
    // The run [first, end): its first layer may need statistics; the ones behind it do not.
    std::size_t first = end - 1;
    while (first > 0 && !layers_[first]->needs_batch_statistics()) --first;
    const bool statistics = layers_[first]->needs_batch_statistics();
    const auto layer_backward = [&](std::size_t i, index_t tile) {
      backward_layer(context, tiles, tile, record, i, partials, {});
    };
    context.pool().parallel_for(tiles.local_count(), [&](index_t tile) {
      for (std::size_t i = end; i-- > first + (statistics ? 1 : 0);) layer_backward(i, tile);
      if (statistics) layers_[first]->backward_statistics(context, tiles, tile, record.layers[first]);
    });
    if (statistics) {
      layers_[first]->join_backward_statistics(context.workspace(), tiles, record.layers[first]);
      context.pool().parallel_for(tiles.local_count(), [&](index_t tile) { layer_backward(first, tile); });
    }
    end = first;
  }
}

}  // namespace switchyard::nn
