#include "moe/router_kind.hpp"

#include <algorithm>
#include <array>

namespace switchyard::moe {

RouterKind score_router();
RouterKind cosine_router();
RouterKind attentive_router();
RouterKind most_certain_router();
RouterKind label_router();
RouterKind fixed_router();

namespace {

// The table: one row per kind, each in its file in moe/routers.
constexpr std::array kinds = {score_router,        cosine_router, attentive_router,
                              most_certain_router, label_router,  fixed_router};

std::vector<nn::GateEnd> gate_ends() {
  std::vector<nn::GateEnd> ends;
  for (const auto& row : kinds) {
    const RouterKind kind = row();
    if (!kind.end.empty() && kind.end != nn::no_layers) ends.push_back({kind.end, kind.has_network});
  }
  return ends;
}

}  // namespace

GateSpec parse_gate(std::string_view text) {
  std::vector<nn::LayerSpec> layers = nn::parse_network(text, nn::NetworkRole::gate, gate_ends());
  const std::string_view end = layers.empty() ? nn::no_layers : layers.back().end;
  if (!layers.empty() && layers.back().kind == nn::LayerSpec::Kind::gate_end) layers.pop_back();
  const auto* const row = std::ranges::find(kinds, end, [](const auto& kind) { return kind().end; });
  return {(*row)(), std::move(layers)};
}

std::vector<nn::LayerSpec> parse_expert(std::string_view text, nn::NetworkRole role) {
  return nn::parse_network(text, role, gate_ends());
}

void validate(const RouterRequest& request) {
  const std::string_view chosen = parse_gate(request.gate).kind.end;
  for (const auto& row : kinds) {
    const RouterKind kind = row();
    if (kind.validate != nullptr) kind.validate(request, kind.end == chosen);
  }
}

}  // namespace switchyard::moe
