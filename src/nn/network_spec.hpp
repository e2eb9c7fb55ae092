// The layers of a gate or an expert, as model.gate and model.expert write them:
// "conv:8 batch_norm relu max_pool dense:512 relu dense:experts", "patch_filters:8 cubic sum:classes". A gate
// may end in words of its own (moe/router_kind.hpp).
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::nn {

struct LayerSpec {
  enum class Kind {
    conv,            // 3x3, stride 1, no padding: H x W becomes (H-2) x (W-2)
    padded_conv,     // 3x3, a border of zeros: H x W becomes ceil(H/stride) x ceil(W/stride)
    pointwise_conv,  // 1x1, of every stride-th pixel
    depthwise_conv,  // 3x3, a border of zeros, a kernel for each channel
    batch_norm,      // statistics over the global batch
    relu,
    relu6,                // min(relu(x), 6)
    max_pool,             // 2x2, stride 2: H x W becomes floor(H/2) x floor(W/2)
    residual,             // a block of two convolutions and what it was given (nn/residual_blocks.hpp)
    inverted_residual,    // ... of a narrow one, a depthwise one and a narrow one
    global_average_pool,  // the mean of each channel
    dense,                // flattens what it is given
    patches,              // squares of an image, of so many pixels a side, for the patch_filters behind it
    patch_filters,        // so many filters for each output, applied to every patch (else a row) of the sample
    bias,                 // of the filters
    cubic,                // z^3
    celu,
    gelu,
    tanh,
    sum,       // over patches and over an output's filters
    gate_end,  // gate: a way to score experts that is no layer; `end` says which
  };

  // The last layer's outputs: the words `experts` and `classes`, which the model resolves.
  static constexpr index_t from_task = -1;

  Kind kind = Kind::dense;
  index_t outputs = 0;  // convolutions and residual blocks: channels; patches: pixels; patch_filters: filters;
                        // dense: units or from_task; sum and gate_end: from_task
  std::string_view end = {};  // gate_end: its word
  index_t stride = 1;         // of convolutions with a border, pointwise ones and residual blocks
  index_t expansion = 1;      // inverted_residual: times so many channels inside

  bool operator==(const LayerSpec&) const = default;
};

// What a text calls the layer, without its numbers: "padded_conv".
std::string_view word_of(const LayerSpec& layer);

// Whether it is given, or gives, an image with channels.
bool is_of_images(LayerSpec::Kind kind);

// Which network a text describes: names the key in messages and the word of the last layer.
// An inner expert's rows are those of a network that goes on: it ends in the word `width`.
enum class NetworkRole { gate, expert, inner_expert };

// What a gate may end in instead of a layer with an output for each expert: "attention:experts".
struct GateEnd {
  std::string_view word;      // outlives what is read with it
  bool reads_layers = false;  // they may stand before it
};

// Networks that have names, which stand for their text. "resnet18:classes" is one.
struct NamedNetwork {
  std::string_view name;
  std::string_view layers;  // all but the last, which is dense
};
Span<const NamedNetwork> named_networks();

// The text of a gate without layers, of a single expert.
inline constexpr std::string_view no_layers = "none";

// The last layer has outputs == from_task, and no other has. A gate may have no layers, or one of `ends` for
// the last. A malformed text is a ConfigError that quotes the layer, its position and the whole text.
std::vector<LayerSpec> parse_network(std::string_view text, NetworkRole role, Span<const GateEnd> ends = {});

}  // namespace switchyard::nn
