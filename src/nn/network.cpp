#include "nn/network.hpp"

#include <fmt/format.h>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/conv_stage.hpp"
#include "nn/dense.hpp"

namespace switchyard::nn {

using Kind = config::LayerSpec::Kind;

GradientRule GradientPolicy::rule(index_t in, index_t out) const {
  if (!replicated) return GradientRule::whole_rows;
  return batch_size * (in + out) < shards * in * out ? GradientRule::whole_rows : GradientRule::per_tile;
}

Network::Network(const std::string& name, std::span<const config::LayerSpec> spec, ImageShape input,
                 index_t outputs, const GradientPolicy& policy, std::uint64_t seed) {
  const auto list = spec;
  std::size_t next = 0;
  if (!list.empty() && list[0].kind == Kind::conv) add_conv_stage(name, spec, next, input, seed);
  index_t features = input.features();
  for (int number = 1; next < list.size(); ++number) {
    if (list[next].kind != Kind::dense) {
      throw ConfigError(
          fmt::format("layer {} of the network `{}` cannot stand there (after a first stage `conv:N "
                      "[batch_norm] relu max_pool`, only "
                      "`dense:N [relu]` can follow); change model.gate or model.expert",
                      next + 1, name));
    }
    const index_t units = list[next].outputs < 0 ? outputs : list[next].outputs;
    const bool relu = next + 1 < list.size() && list[next + 1].kind == Kind::relu;
    layers_.push_back(std::make_unique<Dense>(fmt::format("{}/dense_{}", name, number), features, units,
                                              relu ? Activation::relu : Activation::none,
                                              policy.rule(features, units), seed));
    features = units;
    next += relu ? 2 : 1;
  }
  for (const auto& layer : layers_) {
    partial_offset_.push_back(partial_width_);
    for (const Parameter& parameter : layer->parameters()) {
      if (parameter.rule == GradientRule::per_tile) partial_width_ += parameter.value.count();
    }
  }
}

void Network::add_conv_stage(const std::string& name, std::span<const config::LayerSpec> spec,
                             std::size_t& next, ImageShape& shape, std::uint64_t seed) {
  const auto list = spec;
  const auto is = [&](std::size_t i, Kind kind) { return i < list.size() && list[i].kind == kind; };
  const bool norm = is(1, Kind::batch_norm);
  const std::size_t after = norm ? 2 : 1;
  if (!is(after, Kind::relu) || !is(after + 1, Kind::max_pool)) {
    throw ConfigError(fmt::format(
        "{} begins with a convolution that is not followed by `[batch_norm] relu max_pool` "
        "(the stage is one fused kernel); write `conv:N relu max_pool` or `conv:N batch_norm relu max_pool`",
        name));
  }
  if (shape.channels > 4 || shape.height < 4 || shape.width < 4) {
    throw ConfigError(fmt::format(
        "{} convolves samples of {} x {} x {} (channels x height x width), and the fused stage needs 1 "
        "to 4 channels and at least 4 x 4 pixels; use dense layers for such data",
        name, shape.channels, shape.height, shape.width));
  }
  const ops::FusedConvShape conv{shape.channels, shape.height, shape.width, list[0].outputs};
  layers_.push_back(
      std::make_unique<ConvStage>(name + "/conv_1", norm ? name + "/batch_norm_1" : "", conv, seed));
  shape = {conv.out_channels, conv.pooled_height(), conv.pooled_width()};
  next = after + 2;
}

bool Network::needs_batch_statistics() const {
  for (const auto& layer : layers_) {
    if (layer->needs_batch_statistics()) return true;
  }
  return false;
}

index_t Network::parameter_count() {
  index_t count = 0;
  for (const auto& layer : layers_) {
    for (const Parameter& parameter : layer->parameters()) count += parameter.value.count();
  }
  return count;
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
}

tensor::Matrix Network::input_gradient(NetworkRecord& record, std::size_t layer, tensor::Matrix d_input) const {
  return layer == 0 ? d_input : record.layers[layer - 1].d_output;
}

void Network::backward_tile(device::Context& context, const BatchTiles& tiles, index_t tile,
                            NetworkRecord& record, float* partials, tensor::Matrix d_input) const {
  for (std::size_t i = layers_.size(); i-- > 0;) {
    layers_[i]->backward(context, tiles, tile, record.layers[i], input_gradient(record, i, d_input),
                         partials + tile * partial_width_ + partial_offset_[i]);
  }
}

void Network::backward(device::Context& context, const BatchTiles& tiles, NetworkRecord& record,
                       float* partials) {
  for (std::size_t end = layers_.size(); end > 0;) {
    // The run [first, end): its first layer may need statistics; the ones behind it do not.
    std::size_t first = end - 1;
    while (first > 0 && !layers_[first]->needs_batch_statistics()) --first;
    const bool statistics = layers_[first]->needs_batch_statistics();
    const auto backward_layer = [&](std::size_t i, index_t tile) {
      layers_[i]->backward(context, tiles, tile, record.layers[i], input_gradient(record, i, {}),
                           partials + tile * partial_width_ + partial_offset_[i]);
    };
    context.pool().parallel_for(tiles.local_count(), [&](index_t tile) {
      for (std::size_t i = end; i-- > first + (statistics ? 1 : 0);) backward_layer(i, tile);
      if (statistics) layers_[first]->backward_statistics(context, tiles, tile, record.layers[first]);
    });
    if (statistics) {
      layers_[first]->join_backward_statistics(context.workspace(), tiles, record.layers[first]);
      context.pool().parallel_for(tiles.local_count(), [&](index_t tile) { backward_layer(first, tile); });
    }
    end = first;
  }
}

}  // namespace switchyard::nn
