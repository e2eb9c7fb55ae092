// Where the scores of the experts come from.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "nn/network_spec.hpp"

namespace switchyard::moe {

// Krishnamurthy et al. 2023; the reference's names in brackets.
enum class GateKind {
  network,       // a network of the sample (V1, V3)
  attention,     // a query by a network of the sample, keys by the experts' hidden vectors (V4)
  most_certain,  // the certainty of the experts' outputs; the most certain one answers, no gradient (V7)
  by_label,      // a partition of the labels by hand (section 2.5); for training experts, it needs the answer
  single,        // one expert, nothing to choose (V6)
};
GateKind gate_kind(Span<const nn::LayerSpec> gate);
// Of a text that nn::parse_network() accepts.
GateKind gate_kind(std::string_view gate);
// Whether it has weights, and scores that learn.
bool has_network(GateKind kind);

// A partition of the labels by hand, as moe.partition writes it: "0 7 | 1 9 | 2 4". The labels of each expert,
// in the order of the experts: `experts` groups, none empty, no label twice. ConfigError with the text if it is
// malformed.
std::vector<std::vector<std::int32_t>> parse_partition(std::string_view text, std::int64_t experts);

}  // namespace switchyard::moe
