#include "moe/router_kind.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/config_error.hpp"

namespace switchyard::moe {
namespace {

using test::config_error_of;
using testing::HasSubstr;

std::string gate_error(std::string_view text) {
  return config_error_of([&] { parse_gate(text); });
}
std::string expert_error(std::string_view text) {
  return config_error_of([&] { parse_expert(text); });
}

TEST(Gate, says_what_the_scores_are_of) {
  struct Expected {
    std::string text;
    std::string end;
    ScoresOf scores;
    std::size_t layers;
  };
  const Expected gates[] = {
      {"attention:experts", "attention", ScoresOf::hidden_vectors, 0},
      {"dense:7 attention:experts", "attention", ScoresOf::hidden_vectors, 1},
      {"conv:2 relu max_pool attention:experts", "attention", ScoresOf::hidden_vectors, 3},
      {"most_certain:experts", "most_certain", ScoresOf::outputs, 0},
      {"by_label:experts", "by_label", ScoresOf::nothing, 0},
      {"dense:7 relu dense:experts", "", ScoresOf::samples, 3},
      {"patch_filters:2 sum:experts", "", ScoresOf::samples, 2}};
  for (const auto& [text, end, scores, layers] : gates) {
    const GateSpec gate = parse_gate(text);
    EXPECT_EQ(gate.kind.end, end) << text;
    EXPECT_EQ(gate.kind.scores, scores) << text;
    EXPECT_EQ(gate.layers.size(), layers) << text;
    EXPECT_EQ(gate.kind.has_network, end.empty() || end == "attention") << text;
  }
}

TEST(Gate, may_be_none) {
  for (const auto text : {"none", "  none\t"}) {
    const GateSpec gate = parse_gate(text);
    EXPECT_TRUE(gate.layers.empty()) << text;
    EXPECT_EQ(gate.kind.end, "none");
    EXPECT_FALSE(gate.kind.has_network);
  }
  EXPECT_THAT(gate_error("none dense:experts"), HasSubstr("layer 1 'none' is no layer"));
  EXPECT_THAT(gate_error("dense:4 none"), HasSubstr("layer 2 'none' is no layer"));
  EXPECT_THAT(gate_error("none:experts"), HasSubstr("layer 1 'none:experts' is no layer"));
  EXPECT_THAT(expert_error("none"), HasSubstr("model.expert: layer 1 'none' is no layer"));
}

TEST(Gate, has_words_that_no_expert_has) {
  for (const std::string word : {"attention", "most_certain", "by_label"}) {
    EXPECT_THAT(expert_error("dense:8 " + word + ":experts"),
                HasSubstr("layer 2 '" + word + ":experts' is a layer of gates"));
    EXPECT_THAT(gate_error(word), HasSubstr("write " + word + ":experts"));
    EXPECT_THAT(gate_error("rleu dense:experts"), HasSubstr(word));
  }
  EXPECT_THAT(gate_error("relu by_label:experts"), HasSubstr("; write by_label:experts alone"));
  EXPECT_THAT(gate_error("relu most_certain:experts"), HasSubstr("; write most_certain:experts alone"));
}

}  // namespace
}  // namespace switchyard::moe
