// What a network's text becomes once the data are known: patch filters stand alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nn/network_gradient.hpp"
#include "support/config_error.hpp"

namespace switchyard::nn {
namespace {

using config::NetworkRole;
using ops::PatchActivation;
using test::config_error_of;
using testing::HasSubstr;

NetworkShape shape_of(const std::string& text, tensor::SampleShape sample = {1, 4, 50}) {
  return NetworkShape::resolve("expert", config::parse_network(text, NetworkRole::expert), sample, 2);
}

TEST(PatchFilterNetwork, takes_its_sizes_from_the_sample_and_the_task) {
  const NetworkShape shape = shape_of("patch_filters:8 cubic sum:classes");
  ASSERT_TRUE(shape.patch_filters.has_value());
  EXPECT_EQ(shape.patch_filters->patches, 4);
  EXPECT_EQ(shape.patch_filters->patch_size, 50);
  EXPECT_EQ(shape.patch_filters->outputs, 2);
  EXPECT_EQ(shape.patch_filters->filters, 8);
  EXPECT_EQ(shape.patch_filters->activation, PatchActivation::cubic);
  EXPECT_FALSE(shape.patch_filters->bias);
  EXPECT_FALSE(shape.conv.has_value());
  EXPECT_TRUE(shape.dense.empty());
  EXPECT_EQ(shape.parameter_count(), 16 * 50);
  EXPECT_EQ(shape.multiply_adds(), 4 * 16 * 50);
  // The rows of all channels are patches.
  EXPECT_EQ(shape_of("patch_filters:8 cubic sum:classes", {3, 5, 7}).patch_filters->patches, 15);
}

TEST(PatchFilterNetwork, knows_every_activation_and_the_bias) {
  const std::pair<const char*, PatchActivation> words[] = {
      {"", PatchActivation::none},      {"relu ", PatchActivation::relu}, {"cubic ", PatchActivation::cubic},
      {"celu ", PatchActivation::celu}, {"gelu ", PatchActivation::gelu}, {"tanh ", PatchActivation::tanh}};
  for (const auto& [word, activation] : words) {
    for (const bool bias : {false, true}) {
      const NetworkShape shape =
          shape_of(std::string("patch_filters:3 ") + (bias ? "bias " : "") + word + "sum:classes");
      EXPECT_EQ(shape.patch_filters->activation, activation) << word;
      EXPECT_EQ(shape.patch_filters->bias, bias) << word;
      EXPECT_EQ(shape.parameter_count(), 6 * 50 + (bias ? 6 : 0));
    }
  }
  // Without an activation the patches are added first.
  EXPECT_EQ(shape_of("patch_filters:3 sum:classes").multiply_adds(), 6 * 50);
}

TEST(PatchFilterNetwork, stands_alone) {
  for (const auto text : {"patch_filters:3 dense:classes", "patch_filters:3 relu dense:classes",
                          "patch_filters:3 cubic relu sum:classes", "patch_filters:3 cubic bias sum:classes",
                          "patch_filters:3 batch_norm sum:classes", "patch_filters:3 dense:5 sum:classes"}) {
    EXPECT_THAT(
        config_error_of([&] { shape_of(text); }),
        HasSubstr(
            "the expert begins with patch filters and is not `patch_filters:N [bias] [ACTIVATION] sum:WORD`"))
        << text;
  }
  for (const auto text : {"dense:5 patch_filters:3 sum:classes", "dense:5 sum:classes", "sum:classes",
                          "dense:5 cubic dense:classes", "dense:5 bias dense:classes"}) {
    EXPECT_THAT(config_error_of([&] { shape_of(text); }), HasSubstr("patch filters stand alone")) << text;
  }
}

TEST(PatchFilterNetwork, has_an_entry_for_each_tensor_in_the_table_of_norms) {
  EXPECT_THAT(NetworkGradient::norm_parameters(shape_of("patch_filters:8 cubic sum:classes"), {}),
              testing::ElementsAre(0));
  EXPECT_THAT(NetworkGradient::norm_parameters(shape_of("patch_filters:8 bias cubic sum:classes"), {}),
              testing::ElementsAre(0, 1));
  for (const auto text : {"patch_filters:8 cubic sum:classes", "patch_filters:8 bias sum:classes",
                          "dense:900 relu dense:classes"}) {
    const NetworkShape shape = shape_of(text);
    Network network("experts/0000", shape, {}, 1);
    EXPECT_EQ(NetworkGradient(network, {}).norm_entries(),
              static_cast<index_t>(NetworkGradient::norm_parameters(shape, {}).size()))
        << text;
  }
}

TEST(NormTable, keeps_the_networks_apart) {
  NormTable table;
  table.add({0});
  table.add({0, 0, 1});
  table.add({});
  EXPECT_THAT(table.unit_begin, testing::ElementsAre(0, 1, 4, 4));
  EXPECT_THAT(table.parameter, testing::ElementsAre(0, 0, 0, 1));
  EXPECT_EQ(table.entries(), 4);
}

}  // namespace
}  // namespace switchyard::nn
