#include "moe/gate_kind.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/config_error.hpp"

namespace switchyard::moe {
namespace {

using test::config_error_of;
using testing::HasSubstr;

std::string gate_error(std::string_view text) {
  return config_error_of([&] { nn::parse_network(text, nn::NetworkRole::gate); });
}
std::string expert_error(std::string_view text) {
  return config_error_of([&] { nn::parse_network(text, nn::NetworkRole::expert); });
}

TEST(Gate, may_score_experts_in_another_way_than_by_a_dense_layer) {
  const std::pair<std::string, GateKind> gates[] = {
      {"attention:experts", GateKind::attention},
      {"dense:7 attention:experts", GateKind::attention},
      {"conv:2 relu max_pool attention:experts", GateKind::attention},
      {"most_certain:experts", GateKind::most_certain},
      {"by_label:experts", GateKind::by_label},
      {"dense:7 relu dense:experts", GateKind::network},
      {"patch_filters:2 sum:experts", GateKind::network}};
  for (const auto& [text, kind] : gates) {
    const auto layers = nn::parse_network(text, nn::NetworkRole::gate);
    EXPECT_EQ(gate_kind(layers), kind) << text;
    EXPECT_EQ(gate_kind(text), kind);
    EXPECT_EQ(has_network(kind), text.find("dense") != text.npos || text.find("conv") != text.npos ||
                                     text.starts_with("attention") || text.starts_with("patch"));
    EXPECT_EQ(layers.back().outputs, nn::LayerSpec::from_task) << text;
  }
}

TEST(Gate, may_be_none) {
  for (const auto text : {"none", "  none\t"}) {
    const auto layers = nn::parse_network(text, nn::NetworkRole::gate);
    EXPECT_TRUE(layers.empty()) << text;
    EXPECT_EQ(gate_kind(layers), GateKind::single);
  }
  EXPECT_THAT(gate_error("none dense:experts"), HasSubstr("layer 1 'none' is no layer"));
  EXPECT_THAT(gate_error("dense:4 none"), HasSubstr("layer 2 'none' is no layer"));
  EXPECT_THAT(gate_error("none:experts"), HasSubstr("layer 1 'none:experts' is no layer"));
  EXPECT_THAT(expert_error("none"), HasSubstr("model.expert: layer 1 'none' is no layer"));
}

}  // namespace
}  // namespace switchyard::moe
