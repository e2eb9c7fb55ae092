#include "nn/network_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/config_error.hpp"

namespace switchyard::nn {
namespace {

using Kind = LayerSpec::Kind;
using test::config_error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr GateEnd ends[] = {{"attention", true}, {"most_certain", false}, {"by_label", false}};

std::string gate_error(std::string_view text) {
  return config_error_of([&] { parse_network(text, NetworkRole::gate, ends); });
}

TEST(Network, reads_every_layer) {
  EXPECT_THAT(parse_network("conv:8 batch_norm relu max_pool dense:512 relu dense:experts", NetworkRole::gate),
              ElementsAre(LayerSpec{Kind::conv, 8}, LayerSpec{Kind::batch_norm, 0}, LayerSpec{Kind::relu, 0},
                          LayerSpec{Kind::max_pool, 0}, LayerSpec{Kind::dense, 512}, LayerSpec{Kind::relu, 0},
                          LayerSpec{Kind::dense, LayerSpec::from_task}));
  EXPECT_THAT(parse_network("padded_conv:16 relu padded_conv:32 dense:classes", NetworkRole::expert),
              ElementsAre(LayerSpec{Kind::padded_conv, 16}, LayerSpec{Kind::relu, 0},
                          LayerSpec{Kind::padded_conv, 32}, LayerSpec{Kind::dense, LayerSpec::from_task}));
  EXPECT_THAT(parse_network("dense:classes", NetworkRole::expert),
              ElementsAre(LayerSpec{Kind::dense, LayerSpec::from_task}));
}

TEST(Network, reads_strides_and_expansions) {
  EXPECT_THAT(parse_network("padded_conv:16/2 pointwise_conv:8 depthwise_conv/3 relu6 residual:4 residual:5/2 "
                            "inverted_residual:6*3 inverted_residual:7/2*6 global_average_pool dense:classes",
                            NetworkRole::expert),
              ElementsAre(LayerSpec{.kind = Kind::padded_conv, .outputs = 16, .stride = 2},
                          LayerSpec{.kind = Kind::pointwise_conv, .outputs = 8},
                          LayerSpec{.kind = Kind::depthwise_conv, .stride = 3}, LayerSpec{.kind = Kind::relu6},
                          LayerSpec{.kind = Kind::residual, .outputs = 4},
                          LayerSpec{.kind = Kind::residual, .outputs = 5, .stride = 2},
                          LayerSpec{.kind = Kind::inverted_residual, .outputs = 6, .expansion = 3},
                          LayerSpec{.kind = Kind::inverted_residual, .outputs = 7, .stride = 2, .expansion = 6},
                          LayerSpec{.kind = Kind::global_average_pool},
                          LayerSpec{.kind = Kind::dense, .outputs = LayerSpec::from_task}));
  for (const auto& [text, why, hint] :
       {std::array{"padded_conv:16/ dense:experts", "says no number of strides",
                   "padded_conv:CHANNELS[/STRIDE]"},
        std::array{"padded_conv:16/0 dense:experts", "has 0 strides", "from 1 to 1000"},
        std::array{"depthwise_conv:8 dense:experts", "has a number, which", "write depthwise_conv[/STRIDE]"},
        std::array{"conv:8/2 dense:experts", "has '8/2' for a number of channels", "write conv:CHANNELS"},
        std::array{"residual:8*2 dense:experts", "has '8*2' for a number of channels",
                   "residual:CHANNELS[/STRIDE]"},
        std::array{"inverted_residual:8*x dense:experts", "has 'x' for a number of expansions",
                   "inverted_residual:CHANNELS[/STRIDE][*EXPANSION]"},
        std::array{"dense:8/2 dense:experts", "has '8/2' for a number of units", "write dense:UNITS"},
        std::array{"relu/2 dense:experts", "has a number, which", "write relu"}}) {
    EXPECT_THAT(gate_error(text), AllOf(HasSubstr(why), HasSubstr(hint))) << text;
  }
}

TEST(Network, has_names_for_whole_networks) {
  for (const NamedNetwork& network : named_networks()) {
    const std::string name(network.name), layers(network.layers);
    EXPECT_EQ(parse_network(name + ":classes", NetworkRole::expert),
              parse_network(layers + " dense:classes", NetworkRole::expert));
    EXPECT_EQ(parse_network(" " + name + ":experts ", NetworkRole::gate),
              parse_network(layers + " dense:experts", NetworkRole::gate));
    for (const std::string& text : {name, name + ":classes", name + ":10"}) {
      EXPECT_THAT(gate_error(text), AllOf(HasSubstr("does not name the outputs"),
                                          testing::EndsWith("; write " + name + ":experts")))
          << text;
    }
    EXPECT_THAT(gate_error(name + ":experts relu"),
                AllOf(HasSubstr("is a whole network"), HasSubstr("its layers: padded_conv:")));
  }
  EXPECT_THAT(gate_error("resnet19:experts"), HasSubstr("did you mean 'resnet18'?"));
}

TEST(Network, may_have_any_spaces_between_layers) {
  EXPECT_EQ(parse_network("\t relu \t  dense:classes  ", NetworkRole::expert),
            parse_network("relu dense:classes", NetworkRole::expert));
  EXPECT_THAT(
      parse_network("\t conv:8 batch_norm relu max_pool padded_conv:9 dense:512 relu dense:experts  ",
                    NetworkRole::gate),
      ElementsAre(LayerSpec{Kind::conv, 8}, LayerSpec{Kind::batch_norm, 0}, LayerSpec{Kind::relu, 0},
                  LayerSpec{Kind::max_pool, 0}, LayerSpec{Kind::padded_conv, 9}, LayerSpec{Kind::dense, 512},
                  LayerSpec{Kind::relu, 0}, LayerSpec{Kind::dense, LayerSpec::from_task}));
}

TEST(Network, needs_a_layer) {
  EXPECT_THAT(gate_error(""),
              AllOf(HasSubstr("model.gate is empty"), HasSubstr("such as: dense:32 relu dense:experts")));
  EXPECT_THAT(gate_error(" \t "), HasSubstr("model.gate is empty"));
}

TEST(Network, an_unknown_layer_names_the_nearest_and_its_place) {
  EXPECT_EQ(
      gate_error("conv:8 rleu dense:experts"),
      "model.gate: layer 2 'rleu' is no layer (column 8 of 'conv:8 rleu dense:experts'); did you mean 'relu'? "
      "layers are conv, padded_conv, pointwise_conv, depthwise_conv, batch_norm, relu, relu6, max_pool, residual, "
      "inverted_residual, global_average_pool, dense, patches, patch_filters, bias, cubic, celu, gelu, tanh, sum, attention, "
      "most_certain, by_label, resnet18 or mobilenet_v2");
  EXPECT_THAT(gate_error("Dense:5 dense:experts"), HasSubstr("did you mean 'dense'?"));
  EXPECT_THAT(gate_error(":5 dense:experts"), HasSubstr("layer 1 ':5' is no layer"));
}

TEST(Network, counts_are_whole_numbers_above_zero) {
  for (const auto text : {"dense dense:experts", "dense: dense:experts"}) {
    EXPECT_THAT(gate_error(text), AllOf(HasSubstr("says no number of units"), HasSubstr("write dense:UNITS")))
        << text;
  }
  EXPECT_THAT(gate_error("conv dense:experts"), HasSubstr("says no number of channels"));
  EXPECT_THAT(gate_error("padded_conv dense:experts"),
              AllOf(HasSubstr("says no number of channels"), HasSubstr("write padded_conv:CHANNELS")));
  EXPECT_THAT(gate_error("conv:0 dense:experts"), HasSubstr("has 0 channels"));
  EXPECT_THAT(gate_error("dense:-5 dense:experts"), HasSubstr("has -5 units"));
  EXPECT_THAT(gate_error("dense:1000000001 dense:experts"), HasSubstr("has 1000000001 units"));
  EXPECT_THAT(gate_error("dense:99999999999999999999 dense:experts"),
              HasSubstr("has 99999999999999999999 units"));
  for (const auto text :
       {"dense:8x dense:experts", "dense:2.5 dense:experts", "dense:8:8 dense:experts",
        "dense:-1x dense:experts", "conv:experts dense:experts", "dense:classes dense:experts"}) {
    EXPECT_THAT(gate_error(text), HasSubstr("for a number of")) << text;
  }
  EXPECT_NO_THROW(parse_network("dense:1 dense:1000000000 dense:experts", NetworkRole::gate));
}

TEST(Network, layers_without_a_count_take_none) {
  for (const auto text : {"relu:3 dense:experts", "max_pool:2 dense:experts", "batch_norm: dense:experts"}) {
    EXPECT_THAT(gate_error(text), HasSubstr("has a number, which this layer does not take")) << text;
  }
}

TEST(Network, the_last_layer_is_the_task) {
  for (const auto text : {"dense:5", "dense:32 relu", "dense:experts relu"}) {
    EXPECT_THAT(gate_error(text),
                HasSubstr(*text == 'd' && text[6] == 'e' ? "must be the last" : "end with dense:experts"))
        << text;
  }
  EXPECT_THAT(gate_error("dense:experts dense:experts"), HasSubstr("layer 1 'dense:experts' must be the last"));
  EXPECT_THAT(config_error_of([] { parse_network("dense:7", NetworkRole::expert); }),
              AllOf(HasSubstr("model.expert: layer 1 'dense:7' cannot be the last"),
                    HasSubstr("end with dense:classes")));
  const std::string of_inner = config_error_of([] { parse_network("dense:7", NetworkRole::inner_expert); });
  EXPECT_THAT(of_inner, testing::EndsWith("; end with dense:width")) << "it takes no filters";
}

TEST(Network, the_last_word_of_another_network_is_told_from_a_number) {
  struct Case {
    NetworkRole role;
    std::string whose, word;
  };
  for (const auto& [role, whose, word] :
       {Case{NetworkRole::gate, "a gate", "experts"},
        Case{NetworkRole::expert, "an expert of model.family = mixture", "classes"},
        Case{NetworkRole::inner_expert, "an expert of model.family = tokens", "width"}}) {
    for (const std::string other : {"experts", "classes", "width"}) {
      if (other == word) continue;
      const std::string text = "dense:64 relu dense:" + other + " ";
      EXPECT_THAT(config_error_of([&] { parse_network(text, role); }),
                  AllOf(HasSubstr("layer 3 'dense:" + other + "' is not how " + whose + " ends (column 15"),
                        testing::EndsWith("; write dense:" + word)));
    }
  }
}

TEST(Network, images_end_at_the_first_dense_layer) {
  EXPECT_THAT(gate_error("dense:9 conv:1 dense:experts"),
              HasSubstr("layer 2 'conv:1' comes after a dense layer, whose output is no image"));
  EXPECT_THAT(gate_error("dense:9 relu padded_conv:1 dense:experts"),
              HasSubstr("layer 3 'padded_conv:1' comes after a dense layer, whose output is no image"));
  EXPECT_THAT(gate_error("dense:9 relu max_pool dense:experts"), HasSubstr("layer 3 'max_pool' comes after"));
}

TEST(PatchFilters, are_read_with_bias_and_activation) {
  EXPECT_THAT(parse_network("patch_filters:16 bias cubic sum:classes", NetworkRole::expert),
              ElementsAre(LayerSpec{Kind::patch_filters, 16}, LayerSpec{Kind::bias, 0},
                          LayerSpec{Kind::cubic, 0}, LayerSpec{Kind::sum, LayerSpec::from_task}));
  const std::pair<std::string, Kind> activations[] = {{"relu", Kind::relu},
                                                      {"cubic", Kind::cubic},
                                                      {"celu", Kind::celu},
                                                      {"gelu", Kind::gelu},
                                                      {"tanh", Kind::tanh}};
  for (const auto& [word, kind] : activations) {
    const std::string text = "patch_filters:1 " + word + " sum:experts";
    const auto layers = parse_network(text, NetworkRole::gate);
    EXPECT_THAT(layers, ElementsAre(LayerSpec{Kind::patch_filters, 1}, LayerSpec{kind, 0},
                                    LayerSpec{Kind::sum, LayerSpec::from_task}));
  }
}

TEST(PatchFilters, need_a_number) {
  for (const auto text : {"patch_filters sum:experts", "patch_filters: sum:experts"}) {
    EXPECT_THAT(gate_error(text),
                AllOf(HasSubstr("says no number of filters"), HasSubstr("write patch_filters:FILTERS")))
        << text;
  }
  EXPECT_THAT(gate_error("patch_filters:0 sum:experts"), HasSubstr("has 0 filters"));
  EXPECT_THAT(gate_error("patch_filters:-2 sum:experts"), HasSubstr("has -2 filters"));
  EXPECT_THAT(gate_error("patch_filters:experts sum:experts"),
              HasSubstr("has 'experts' for a number of filters"));
  EXPECT_THAT(gate_error("patch_filters:2 cubic:3 sum:experts"),
              HasSubstr("has a number, which this layer does not"));
  EXPECT_THAT(gate_error("patch_filters:2 bias:1 sum:experts"),
              HasSubstr("has a number, which this layer does not"));
}

TEST(PatchFilters, end_in_a_sum_that_names_its_outputs) {
  for (const auto text : {"patch_filters:2 sum", "patch_filters:2 sum:", "patch_filters:2 sum:8",
                          "patch_filters:2 sum:classes"}) {
    EXPECT_THAT(gate_error(text), AllOf(HasSubstr("does not name the outputs"), HasSubstr("write sum:experts")))
        << text;
  }
  EXPECT_THAT(config_error_of([] { parse_network("patch_filters:2 sum:experts", NetworkRole::expert); }),
              AllOf(HasSubstr("model.expert: layer 2"), HasSubstr("write sum:classes")));
  EXPECT_THAT(gate_error("patch_filters:2 cubic"), HasSubstr("layer 2 'cubic' cannot be the last"));
  EXPECT_THAT(gate_error("patch_filters:2 sum:experts cubic"),
              HasSubstr("layer 2 'sum:experts' must be the last"));
}

std::string expert_error(std::string_view text) {
  return config_error_of([&] { parse_network(text, NetworkRole::expert, ends); });
}

TEST(Gate, ends_as_it_is_told_that_it_may) {
  const LayerSpec end{Kind::gate_end, LayerSpec::from_task, "attention"};
  EXPECT_THAT(parse_network("dense:3 attention:experts", NetworkRole::gate, ends),
              ElementsAre(LayerSpec{Kind::dense, 3}, end));
  EXPECT_THAT(config_error_of([] { parse_network("attention:experts", NetworkRole::gate); }),
              HasSubstr("layer 1 'attention:experts' is no layer"));
}

TEST(Gate, names_the_experts_that_it_scores) {
  for (const std::string word : {"attention", "most_certain", "by_label"}) {
    for (const char* const count : {"", ":", ":5", ":classes"}) {
      EXPECT_EQ(gate_error(word + count), "model.gate: layer 1 '" + word + count +
                                              "' does not name the outputs (column 1 of '" + word + count +
                                              "'); write " + word + ":experts");
    }
  }
}

TEST(Gate, ends_where_experts_are_scored) {
  EXPECT_EQ(gate_error("attention:experts relu dense:experts"),
            "model.gate: layer 1 'attention:experts' must be the last (column 1 of 'attention:experts relu "
            "dense:experts'); give a number of units here, or remove what follows");
  EXPECT_THAT(gate_error("most_certain:experts attention:experts"),
              HasSubstr("layer 1 'most_certain:experts' must be the last"));
}

TEST(Gate, stands_alone_if_it_reads_no_features) {
  EXPECT_EQ(
      gate_error("dense:8 relu most_certain:experts"),
      "model.gate: layer 3 'most_certain:experts' stands behind other layers, and it reads none (column 14 of "
      "'dense:8 relu most_certain:experts'); write most_certain:experts alone");
  EXPECT_THAT(gate_error("relu by_label:experts"),
              AllOf(HasSubstr("layer 2 'by_label:experts' stands behind other layers"),
                    HasSubstr("; write by_label:experts alone")));
}

TEST(Gate, has_layers_that_no_expert_has) {
  for (const std::string word : {"attention", "most_certain", "by_label"}) {
    for (const char* const count : {"", ":classes", ":experts", ":3"}) {
      EXPECT_EQ(expert_error("dense:8 " + word + count),
                "model.expert: layer 2 '" + word + count + "' is a layer of gates (column 9 of 'dense:8 " +
                    word + count + "'); end an expert with dense:classes");
    }
  }
  EXPECT_THAT(config_error_of([] { parse_network("attention:experts", NetworkRole::inner_expert, ends); }),
              testing::EndsWith("; end an expert with dense:width"));
}

}  // namespace
}  // namespace switchyard::nn
