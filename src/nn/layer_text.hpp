// The text of a network, as its layers read it one after the other.
#pragma once

#include <string_view>

#include "base/span.hpp"
#include "nn/network_spec.hpp"
#include "ops/norm_pool.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

// A kind of layer reads the words that are its own, if they come next, and says what it makes of the samples.
struct LayerText {
  std::string_view network;  // "gate", for messages
  Span<const LayerSpec> spec;
  index_t outputs;             // for the word `experts` or `classes`
  tensor::SampleShape sample;  // that the layer is given, and how it lies
  ops::ImageOrder order = ops::ImageOrder::channels_first;
  std::size_t next = 0;

  bool at(LayerSpec::Kind kind) const { return next < spec.size() && spec[next].kind == kind; }
  bool take(LayerSpec::Kind kind) {
    if (!at(kind)) return false;
    ++next;
    return true;
  }
  // ConfigError if the layer of the word before `next` would make more of a sample than sizes can be computed
  // of.
  void expect_countable(const tensor::SampleShape& made) const;
  // How the layer that the next word is of wants its images.
  ops::ImageOrder order_of_next() const {
    using Kind = LayerSpec::Kind;
    for (const Kind kind : {Kind::padded_conv, Kind::pointwise_conv, Kind::depthwise_conv, Kind::residual,
                            Kind::inverted_residual, Kind::global_average_pool}) {
      if (at(kind)) return ops::ImageOrder::channels_last;
    }
    return ops::ImageOrder::channels_first;
  }
  // The number of the next word.
  index_t take_outputs() {
    const index_t number = spec[next++].outputs;
    return number == LayerSpec::from_task ? outputs : number;
  }
};

}  // namespace switchyard::nn
