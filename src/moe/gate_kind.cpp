#include "moe/gate_kind.hpp"

namespace switchyard::moe {

GateKind gate_kind(Span<const nn::LayerSpec> gate) {
  using Kind = nn::LayerSpec::Kind;
  if (gate.empty()) return GateKind::single;
  const Kind last = gate.back().kind;
  if (last == Kind::attention) return GateKind::attention;
  if (last == Kind::most_certain) return GateKind::most_certain;
  if (last == Kind::by_label) return GateKind::by_label;
  return GateKind::network;
}

GateKind gate_kind(std::string_view gate) { return gate_kind(nn::parse_network(gate, nn::NetworkRole::gate)); }

bool has_network(GateKind kind) { return kind == GateKind::network || kind == GateKind::attention; }

}  // namespace switchyard::moe
