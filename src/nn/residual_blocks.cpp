#include "nn/residual_blocks.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace switchyard::nn {
namespace {

using Kind = LayerSpec::Kind;
using ops::ImageActivation;

// Appends convolutions with batch norm, each of which is given what the one before made.
class Block {
 public:
  Block(LayerText& text, NetworkShape& shape)
      : text_(text), shape_(shape), given_(shape.layers.size() - 1), sample_(text.sample) {}

  struct Conv {
    index_t channels;
    index_t kernel = 3;
    index_t stride = 1;
    bool depthwise = false;
    ImageActivation activation = ImageActivation::none;
  };
  // Its place among the network's layers.
  std::size_t add(const Conv& conv) {
    PaddedConvShape layer{.in_channels = sample_.channels,
                          .height = sample_.height,
                          .width = sample_.width,
                          .out_channels = conv.channels,
                          .kernel = conv.kernel,
                          .stride = conv.stride,
                          .depthwise = conv.depthwise,
                          .batch_norm = true,
                          .activation = conv.activation,
                          .in_order = ops::ImageOrder::channels_last,
                          .out_order = ops::ImageOrder::channels_last};
    const ops::NormPoolShape after = layer.norm_pool();
    sample_ = {conv.channels, after.out_height(), after.out_width()};
    text_.expect_countable(sample_);
    shape_.layers.push_back(layer);
    return shape_.layers.size() - 1;
  }
  std::size_t given() const { return given_; }
  // The next layer is given what the block was.
  void begin_again() {
    sample_ = text_.sample;
    shape_.links[shape_.layers.size()].input = given_;
  }
  void skip(std::size_t from) { shape_.links[shape_.layers.size() - 1].skip = from; }
  void end() {
    auto& last = std::get<PaddedConvShape>(shape_.layers.back());
    last.out_order = text_.order_of_next();
    text_.order = last.out_order;
    text_.sample = sample_;
  }

 private:
  LayerText& text_;
  NetworkShape& shape_;
  std::size_t given_;
  tensor::SampleShape sample_;  // that the next layer is given
};

void add_residual(Block& block, const LayerSpec& spec, bool same_size) {
  std::size_t skip = block.given();
  if (!same_size) {
    skip = block.add({.channels = spec.outputs, .kernel = 1, .stride = spec.stride});
    block.begin_again();
  }
  block.add({.channels = spec.outputs, .stride = spec.stride, .activation = ImageActivation::relu});
  block.add({.channels = spec.outputs, .activation = ImageActivation::relu});
  block.skip(skip);
}

void add_inverted_residual(Block& block, const LayerSpec& spec, index_t channels, bool same_size) {
  const index_t inside = channels * spec.expansion;
  if (spec.expansion > 1) block.add({.channels = inside, .kernel = 1, .activation = ImageActivation::relu6});
  block.add(
      {.channels = inside, .stride = spec.stride, .depthwise = true, .activation = ImageActivation::relu6});
  block.add({.channels = spec.outputs, .kernel = 1});
  if (same_size) block.skip(block.given());
}

}  // namespace

bool read_residual_block(LayerText& text, NetworkShape& shape) {
  if (!text.at(Kind::residual) && !text.at(Kind::inverted_residual)) return false;
  if (text.order != ops::ImageOrder::channels_last) {
    throw ConfigError(fmt::format(
        "layer {} of the {} is a residual block without a convolution before it, whose result it would "
        "add; begin with `padded_conv:N [batch_norm] [relu]`",
        text.next + 1, text.network));
  }
  const LayerSpec& spec = text.spec[text.next++];
  Block block(text, shape);
  const bool same_size = spec.stride == 1 && spec.outputs == text.sample.channels;
  if (spec.kind == Kind::residual) {
    add_residual(block, spec, same_size);
  } else {
    add_inverted_residual(block, spec, text.sample.channels, same_size);
  }
  block.end();
  return true;
}

}  // namespace switchyard::nn
