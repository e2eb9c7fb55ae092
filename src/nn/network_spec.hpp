// The layers of a gate or an expert, as model.gate and model.expert write them:
// "conv:8 batch_norm relu max_pool dense:512 relu dense:experts", "patch_filters:8 cubic sum:classes". A gate
// may end in attention:experts, or be most_certain:experts, by_label:experts or none (moe/gate_kind.hpp).
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::nn {

struct LayerSpec {
  enum class Kind {
    conv,         // 3x3, stride 1, no padding: H x W becomes (H-2) x (W-2)
    padded_conv,  // 3x3, stride 1, a border of zeros: H x W stays
    batch_norm,   // statistics over the global batch
    relu,
    max_pool,       // 2x2, stride 2: H x W becomes floor(H/2) x floor(W/2)
    dense,          // flattens what it is given
    patch_filters,  // so many filters for each output, applied to every patch (row) of the sample
    bias,           // of the filters
    cubic,          // z^3
    celu,
    gelu,
    tanh,
    sum,           // over patches and over an output's filters
    attention,     // gate: scores experts by a query of its input and the experts' hidden vectors
    most_certain,  // gate: the expert that is most certain answers
    by_label,      // gate: moe.partition says which expert a label belongs to
  };

  // The last layer's outputs: the words `experts` and `classes`, which the model resolves.
  static constexpr index_t from_task = -1;

  Kind kind = Kind::dense;
  index_t outputs = 0;  // conv, padded_conv: channels; patch_filters: filters; dense: units or from_task; sum
                        // and the gate's own last layers: from_task

  bool operator==(const LayerSpec&) const = default;
};

// Which network a text describes: names the key in messages and the word of the last layer.
enum class NetworkRole { gate, expert };

// The last layer has outputs == from_task, and no other has. "none" is a gate without layers, of a single
// expert. A malformed text is a ConfigError that quotes the layer, its position and the whole text.
std::vector<LayerSpec> parse_network(std::string_view text, NetworkRole role);

}  // namespace switchyard::nn
