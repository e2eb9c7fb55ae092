#include "nn/network.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "nn/conv_stage.hpp"
#include "nn/dense.hpp"
#include "nn/patch_filters.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

using Kind = LayerSpec::Kind;

GradientRule GradientPolicy::rule(index_t in, index_t out) const {
  if (!replicated) return GradientRule::whole_rows;
  return batch_size * (in + out) < shards * in * out ? GradientRule::whole_rows : GradientRule::per_tile;
}

namespace {

// What a network's text says of its images, layer by layer.
struct ImageLayers {
  std::string_view name;  // of the network, for messages
  Span<const LayerSpec> spec;
  std::size_t next;           // layer to read
  tensor::SampleShape image;  // at that layer

  bool is(std::size_t i, Kind kind) const { return i < spec.size() && spec[i].kind == kind; }
  bool take(Kind kind) {
    if (!is(next, kind)) return false;
    ++next;
    return true;
  }
};

// The fused first stage `conv:N [batch_norm] relu max_pool`.
void resolve_conv(ImageLayers& layers, NetworkShape& shape) {
  const tensor::SampleShape image = layers.image;
  const index_t channels = layers.spec[layers.next++].outputs;
  shape.batch_norm = layers.take(Kind::batch_norm);
  if (!layers.take(Kind::relu) || !layers.take(Kind::max_pool)) {
    throw ConfigError(
        fmt::format("the {} begins with a convolution that is not followed by `[batch_norm] relu max_pool` "
                    "(the stage is one fused kernel); write `conv:N relu max_pool` or `conv:N batch_norm "
                    "relu max_pool`, or padded_conv:N, which any of these may follow",
                    layers.name));
  }
  if (image.channels > 4 || image.height < 4 || image.width < 4) {
    throw ConfigError(
        fmt::format("the {} convolves samples of {} x {} x {} (channels x height x width), and the fused "
                    "stage needs 1 to 4 channels and at least 4 x 4 pixels; use dense layers for such data",
                    layers.name, image.channels, image.height, image.width));
  }
  shape.conv = ops::FusedConvShape{image.channels, image.height, image.width, channels};
  layers.image = {shape.conv->out_channels, shape.conv->pooled_height(), shape.conv->pooled_width()};
}

// `padded_conv:N [batch_norm] [relu] [max_pool]`. As the first stage of an image of few channels it is the
// fused kernel too, where there is pooling.
void resolve_padded_conv(ImageLayers& layers, NetworkShape& shape) {
  const bool first = layers.next == 0;
  const tensor::SampleShape image = layers.image;
  PaddedConvShape conv{.in_channels = image.channels,
                       .height = image.height,
                       .width = image.width,
                       .out_channels = layers.spec[layers.next++].outputs};
  conv.batch_norm = layers.take(Kind::batch_norm);
  conv.relu = layers.take(Kind::relu);
  conv.max_pool = layers.take(Kind::max_pool);
  if (conv.max_pool && (image.height < 2 || image.width < 2)) {
    throw ConfigError(fmt::format(
        "layer {} of the {}, max_pool, is given images of {} x {} pixels (it takes the largest of 2 x 2); "
        "remove it, or pool less often before it",
        layers.next, layers.name, image.height, image.width));
  }
  layers.image = {conv.out_channels, conv.norm_pool().out_height(), conv.norm_pool().out_width()};
  if (first && conv.relu && conv.max_pool && conv.in_channels <= 4) {
    shape.conv = ops::FusedConvShape{conv.in_channels, conv.height, conv.width, conv.out_channels, 1};
    shape.batch_norm = conv.batch_norm;
    return;
  }
  if (!shape.padded_convs.empty()) {
    shape.padded_convs.back().out_order = ops::ImageOrder::channels_last;
    conv.in_order = ops::ImageOrder::channels_last;
  }
  shape.padded_convs.push_back(conv);
}

constexpr std::pair<Kind, ops::PatchActivation> activations[] = {{Kind::relu, ops::PatchActivation::relu},
                                                                 {Kind::cubic, ops::PatchActivation::cubic},
                                                                 {Kind::celu, ops::PatchActivation::celu},
                                                                 {Kind::gelu, ops::PatchActivation::gelu},
                                                                 {Kind::tanh, ops::PatchActivation::tanh}};

// `patch_filters:N [bias] [ACTIVATION] sum`, all there is.
ops::PatchFilterShape resolve_patch_filters(std::string_view name, Span<const LayerSpec> spec,
                                            tensor::SampleShape sample, index_t outputs) {
  ops::PatchFilterShape shape{sample.channels * sample.height, sample.width, outputs, spec[0].outputs};
  ImageLayers layers{name, spec, 1, sample};
  shape.bias = layers.take(Kind::bias);
  for (const auto& [kind, activation] : activations) {
    if (!layers.take(kind)) continue;
    shape.activation = activation;
    break;
  }
  if (layers.next + 1 != spec.size() || !layers.is(layers.next, Kind::sum)) {
    throw ConfigError(fmt::format(
        "the {} begins with patch filters and is not `patch_filters:N [bias] [ACTIVATION] sum:WORD` (one fused "
        "layer, with an activation among relu, cubic, celu, gelu, tanh, or without one; WORD is experts in a "
        "gate, classes in an expert); change model.{}",
        name, name));
  }
  return shape;
}

}  // namespace

NetworkShape NetworkShape::resolve(std::string_view name, Span<const LayerSpec> spec, tensor::SampleShape input,
                                   index_t outputs) {
  NetworkShape shape;
  if (!spec.empty() && spec[0].kind == Kind::patch_filters) {
    shape.patch_filters = resolve_patch_filters(name, spec, input, outputs);
    return shape;
  }
  ImageLayers images{name, spec, 0, input};
  if (images.is(0, Kind::conv)) resolve_conv(images, shape);
  while (images.is(images.next, Kind::padded_conv)) resolve_padded_conv(images, shape);
  index_t features = images.image.features();
  for (std::size_t next = images.next; next < spec.size();) {
    if (spec[next].kind != Kind::dense) {
      throw ConfigError(fmt::format(
          "layer {} of the {} cannot stand there (convolutions come first: `conv:N [batch_norm] relu "
          "max_pool`, then any number of `padded_conv:N [batch_norm] [relu] [max_pool]`; after them only "
          "`dense:N [relu]` can follow; patch filters stand alone); change model.{}",
          next + 1, name, name));
    }
    const index_t units = spec[next].outputs == LayerSpec::from_task ? outputs : spec[next].outputs;
    const bool relu = next + 1 < spec.size() && spec[next + 1].kind == Kind::relu;
    shape.dense.push_back({.in = features, .out = units, .relu = relu});
    features = units;
    next += relu ? 2 : 1;
  }
  return shape;
}

Network::Network(std::vector<std::string> names, const NetworkShape& shape, const NetworkOptions& options,
                 std::uint64_t seed)
    : names_(std::move(names)), frozen_(options.frozen), gives_input_gradient_(options.input_gradient) {
  add_layers(shape, options);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i]->needs_batch_statistics()) normalised_.push_back(i);
    partial_offset_.push_back(partial_width_);
    for (const Parameter& parameter : layers_[i]->parameters()) {
      if (parameter.rule == GradientRule::per_tile) partial_width_ += parameter.count();
    }
  }
  if (sets() > 0) allocate(options, seed);
}

// Layers are numbered by their kind: conv_1, conv_2, batch_norm_1, dense_1.
void Network::add_layers(const NetworkShape& shape, const NetworkOptions& options) {
  int convs = 0;
  int norms = 0;
  const auto conv_name = [&] { return fmt::format("conv_{}", ++convs); };
  const auto norm_name = [&](bool there) {
    return there ? fmt::format("batch_norm_{}", ++norms) : std::string();
  };
  if (shape.conv)
    layers_.push_back(std::make_unique<ConvStage>(conv_name(), norm_name(shape.batch_norm), *shape.conv));
  for (const PaddedConvShape& layer : shape.padded_convs)
    layers_.push_back(std::make_unique<PaddedConv>(conv_name(), norm_name(layer.batch_norm), layer));
  if (shape.patch_filters)
    layers_.push_back(std::make_unique<PatchFilters>("patch_filters_1", *shape.patch_filters));
  int number = 0;
  for (std::size_t i = 0; i < shape.dense.size(); ++i) {
    const DenseShape& layer = shape.dense[i];
    const bool hidden = shape.shows_hidden && i + 2 == shape.dense.size();
    const std::string name = layer.name.empty() ? fmt::format("dense_{}", ++number) : std::string(layer.name);
    const Dense::Options dense{.activation = layer.relu && !hidden ? Activation::relu : Activation::none,
                               .bias = layer.bias,
                               .weight_rule = options.policy.rule(layer.in, layer.out),
                               .precision = options.precision};
    layers_.push_back(std::make_unique<Dense>(name, layer.in, layer.out, dense));
    if (!hidden) continue;
    hidden_layer_ = layers_.size() - 1;
    if (layer.relu) layers_.push_back(std::make_unique<Relu>(layer.out));
  }
}

void Network::allocate(const NetworkOptions& options, std::uint64_t seed) {
  Vector<BankArray*> parameters, state;
  for (const auto& layer : layers_) {
    for (Parameter& parameter : layer->parameters()) parameters.push_back(&parameter);
    for (StateArray& array : layer->state()) state.push_back(&array);
  }
  values_ = lay_out(parameters, sets());
  state_ = lay_out(state, sets());
  for (auto* arrays : {&parameters, &state}) {
    for (const BankArray* array : *arrays) {
      for (index_t set = 0; set < sets(); ++set)
        fill_first(*array, set, name_of(set, *array), seed, options.initial);
    }
  }
  for (const auto& layer : layers_) layer->hold(sets());
}

index_t Network::parameter_count() const {
  index_t count = 0;
  for (const auto& layer : layers_) {
    for (const Parameter& parameter : layer->parameters()) count += parameter.count();
  }
  return count;
}

index_t Network::multiply_adds() const {
  index_t count = 0;
  for (const auto& layer : layers_) count += layer->multiply_adds();
  return count;
}

index_t Network::training_multiply_adds() const {
  if (frozen_) return multiply_adds();
  index_t count = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    count += layers_[i]->training_multiply_adds(i > 0 || gives_input_gradient_);
  return count;
}

double Network::activation_floats() const {
  double floats = static_cast<double>(shown_hidden());  // whose gradient comes from two sides
  for (const auto& layer : layers_) floats += layer->activation_floats();
  return floats;
}

std::size_t Network::stage_begin(index_t stage) const { return stage == 0 ? 0 : normalised_[stage - 1]; }

std::size_t Network::stage_end(index_t stage) const {
  return stage + 1 == stage_count() ? layers_.size() : normalised_[stage];
}

void Network::values_changed(device::Context& context) {
  for (const auto& layer : layers_) layer->values_changed(context);
}

void Network::begin_forward(const Pass& pass, NetworkRecord& record) const {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (i == record.layers.size()) record.layers.push_back(layers_[i]->make_record());
    record.layers[i]->input = i == 0 ? pass.batch.rows : tensor::RowSource(record.layers[i - 1]->output);
    layers_[i]->begin_forward(own(pass), *record.layers[i]);
  }
}

void Network::forward_tile(const Pass& pass, index_t stage, index_t tile, NetworkRecord& record) const {
  const std::size_t end = stage_end(stage);
  for (std::size_t i = stage_begin(stage); i < end; ++i) layers_[i]->forward(pass, tile, *record.layers[i]);
  if (end < layers_.size()) layers_[end]->forward_statistics(pass, tile, *record.layers[end]);
}

void Network::join_forward(const Pass& pass, index_t stage, NetworkRecord& record) {
  const std::size_t next = stage_end(stage);
  if (next < layers_.size()) layers_[next]->join_forward_statistics(own(pass), *record.layers[next]);
}

void Network::forward(const Pass& pass, NetworkRecord& record) {
  begin_forward(pass, record);
  for (index_t stage = 0; stage < stage_count(); ++stage) {
    pass.context.pool().parallel_for(pass.tiles().local_count(),
                                     [&](index_t tile) { forward_tile(pass, stage, tile, record); });
    join_forward(pass, stage, record);
  }
}

void Network::begin_backward(const Pass& pass, NetworkRecord& record) const {
  const auto like = [&](const tensor::Matrix& m) {
    return tensor::allocate_matrix(pass.workspace(), m.rows, m.cols);
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    record.layers[i]->d_output = like(record.layers[i]->output);
    layers_[i]->begin_backward(pass, *record.layers[i]);
  }
  record.d_hidden = hidden_layer_ == no_layer ? tensor::Matrix() : like(hidden(record));
  record.d_input = {};
  if (gives_input_gradient_) {
    const tensor::RowSource& input = record.layers.front()->input;
    record.d_input = tensor::allocate_matrix(pass.workspace(), input.rows, input.cols);
  }
}

void Network::backward_tile(const Pass& pass, index_t stage, index_t tile, NetworkRecord& record,
                            float* partial) const {
  const auto layer = [&](std::size_t i) {
    if (i == hidden_layer_) {
      const IndexRange rows = pass.tiles().rows(tile);
      ops::add(pass.context, record.d_hidden.rows_from(rows), record.layers[i]->d_output.rows_from(rows));
    }
    const tensor::Matrix d_input = i == 0 ? record.d_input : record.layers[i - 1]->d_output;
    layers_[i]->backward(pass, tile, *record.layers[i], d_input, partial + partial_offset_[i]);
  };
  // The first layer of a stage but stage 0 has its sums taken here, and its backward in the stage before.
  const std::size_t begin = stage_begin(stage);
  const std::size_t end = stage_end(stage);
  if (end < layers_.size()) layer(end);
  for (std::size_t i = end; i-- > begin + (stage > 0 ? 1 : 0);) layer(i);
  if (stage > 0) layers_[begin]->backward_statistics(pass, tile, *record.layers[begin]);
}

IndexRange Network::partial_columns(index_t stage) const {
  const auto begin_of = [&](std::size_t layer) {
    return layer < layers_.size() ? partial_offset_[layer] : partial_width_;
  };
  // The layers of backward_tile.
  return {begin_of(stage_begin(stage) + (stage > 0 ? 1 : 0)), begin_of(stage_end(stage) + 1)};
}

void Network::join_backward(const Pass& pass, index_t stage, NetworkRecord& record) {
  if (stage == 0) return;
  const std::size_t first = stage_begin(stage);
  layers_[first]->join_backward_statistics(pass, *record.layers[first]);
}

}  // namespace switchyard::nn
