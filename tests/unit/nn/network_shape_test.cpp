// What a network's text becomes once the data are known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "nn/bank_gradient.hpp"
#include "nn/network_gradient.hpp"
#include "support/config_error.hpp"

namespace switchyard::nn {
namespace {

using nn::NetworkRole;
using ops::PatchActivation;
using test::config_error_of;
using testing::HasSubstr;

// Layer `i`, of that kind.
template <class Shape>
const Shape& layer(const NetworkShape& shape, std::size_t i) {
  return std::get<Shape>(shape.layers.at(i));
}

NetworkShape shape_of(const std::string& text, tensor::SampleShape sample = {1, 4, 50}) {
  return NetworkShape::resolve("expert", nn::parse_network(text, NetworkRole::expert), sample, 2);
}

TEST(PatchFilterNetwork, takes_its_sizes_from_the_sample_and_the_task) {
  const NetworkShape shape = shape_of("patch_filters:8 cubic sum:classes");
  ASSERT_EQ(shape.layers.size(), 1U);
  const auto& filters = layer<PatchFiltersShape>(shape, 0);
  EXPECT_EQ(filters.patches, 4);
  EXPECT_EQ(filters.patch_size, 50);
  EXPECT_EQ(filters.outputs, 2);
  EXPECT_EQ(filters.filters, 8);
  EXPECT_EQ(filters.activation, PatchActivation::cubic);
  EXPECT_FALSE(filters.bias);
  EXPECT_EQ(Network(shape).parameter_count(), 16 * 50);
  EXPECT_EQ(Network(shape).multiply_adds(), 4 * 16 * 50);
  // The rows of all channels are patches.
  EXPECT_EQ(layer<PatchFiltersShape>(shape_of("patch_filters:8 cubic sum:classes", {3, 5, 7}), 0).patches, 15);
}

TEST(PatchFilterNetwork, takes_squares_of_images) {
  const NetworkShape shape = shape_of("patches:4 patch_filters:1 bias sum:classes", {3, 32, 24});
  const auto& filters = layer<PatchFiltersShape>(shape, 0);
  EXPECT_EQ(filters.patches, 8 * 6);
  EXPECT_EQ(filters.patch_size, 48);
  EXPECT_EQ(filters.side, 4);
  EXPECT_EQ(Network(shape).parameter_count(), 48 * 2 + 2);
  EXPECT_EQ(Network(shape).in_features(), 3 * 32 * 24);
  for (const auto text : {"patches:7 patch_filters:1 sum:classes", "patches:5 patch_filters:1 sum:classes"}) {
    EXPECT_THAT(config_error_of([&] {
                  shape_of(text, {3, 10, 14});
                }),
                HasSubstr("does not cut images of 10 x 14 pixels into squares"));
  }
}

TEST(PatchFilterNetwork, knows_every_activation_and_the_bias) {
  const std::pair<const char*, PatchActivation> words[] = {
      {"", PatchActivation::none},      {"relu ", PatchActivation::relu}, {"cubic ", PatchActivation::cubic},
      {"celu ", PatchActivation::celu}, {"gelu ", PatchActivation::gelu}, {"tanh ", PatchActivation::tanh}};
  for (const auto& [word, activation] : words) {
    for (const bool bias : {false, true}) {
      const NetworkShape shape =
          shape_of(std::string("patch_filters:3 ") + (bias ? "bias " : "") + word + "sum:classes");
      EXPECT_EQ(layer<PatchFiltersShape>(shape, 0).activation, activation) << word;
      EXPECT_EQ(layer<PatchFiltersShape>(shape, 0).bias, bias) << word;
      EXPECT_EQ(Network(shape).parameter_count(), 6 * 50 + (bias ? 6 : 0));
    }
  }
  // Without an activation the patches are added first.
  EXPECT_EQ(Network(shape_of("patch_filters:3 sum:classes")).multiply_adds(), 6 * 50);
}

TEST(PatchFilterNetwork, stands_alone) {
  for (const auto text : {"patch_filters:3 dense:classes", "patch_filters:3 relu dense:classes",
                          "patch_filters:3 cubic relu sum:classes", "patch_filters:3 cubic bias sum:classes",
                          "patch_filters:3 batch_norm sum:classes", "patch_filters:3 dense:5 sum:classes"}) {
    EXPECT_THAT(
        config_error_of([&] { shape_of(text); }),
        HasSubstr(
            "the expert begins with patch filters and is not `[patches:N] patch_filters:N [bias] [ACTIVATION] sum:WORD`"))
        << text;
  }
  for (const auto text : {"patches:5 sum:classes", "patches:5 dense:classes", "patches:5 bias sum:classes"})
    EXPECT_THAT(config_error_of([&] {
                  shape_of(text, {1, 10, 50});
                }),
                HasSubstr("[patches:N] patch_filters:N"));
  for (const auto text : {"dense:5 patch_filters:3 sum:classes", "dense:5 sum:classes", "sum:classes",
                          "dense:5 cubic dense:classes", "dense:5 bias dense:classes"}) {
    EXPECT_THAT(config_error_of([&] { shape_of(text); }), HasSubstr("patch filters stand alone")) << text;
  }
}

// Both gradients have the entries that the shape alone tells of.
void expect_norm_entries(Network& network, const NetworkShape& shape) {
  EXPECT_EQ(BankGradient(network).slices(0).size(), norm_parameters(Network(shape)).size());
  comm::LocalCommunicator communicator;
  comm::HostDataPlane data_plane(communicator);
  NormTable norms;
  NetworkGradient(network, data_plane).add_norms(norms);
  EXPECT_EQ(static_cast<const std::vector<index_t>&>(norms.parameter), norm_parameters(network));
}

TEST(PatchFilterNetwork, has_an_entry_for_each_tensor_in_the_table_of_norms) {
  EXPECT_THAT(norm_parameters(Network(shape_of("patch_filters:8 cubic sum:classes"))), testing::ElementsAre(0));
  EXPECT_THAT(norm_parameters(Network(shape_of("patch_filters:8 bias cubic sum:classes"))),
              testing::ElementsAre(0, 1));
  for (const auto text : {"patch_filters:8 cubic sum:classes", "patch_filters:8 bias sum:classes",
                          "dense:900 relu dense:classes"}) {
    SCOPED_TRACE(text);
    const NetworkShape shape = shape_of(text);
    Network network({"experts/0000"}, shape, {}, 1);
    expect_norm_entries(network, shape);
  }
}

const char* const cifar_expert =
    "padded_conv:16 relu max_pool padded_conv:32 batch_norm relu max_pool padded_conv:64 relu max_pool "
    "padded_conv:128 batch_norm relu max_pool dense:1024 relu dense:256 relu dense:classes";
constexpr tensor::SampleShape cifar{3, 32, 32};

// Sizes and, with 100 classes, the number of parameters that were published.
TEST(ImageNetwork, is_the_published_expert_for_cifar_100) {
  const auto layers = nn::parse_network(cifar_expert, NetworkRole::expert);
  const NetworkShape shape = NetworkShape::resolve("expert", layers, cifar, 100);
  EXPECT_EQ(Network(shape).parameter_count(), 911'012);
  ASSERT_EQ(shape.layers.size(), 7U);
  const auto& first = layer<ConvStageShape>(shape, 0);  // of three channels: the fused stage
  EXPECT_EQ(first.padding, 1);
  EXPECT_EQ(first.out_features(), 16 * 16 * 16);
  EXPECT_FALSE(first.batch_norm);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 1).in_features(), 16 * 16 * 16);
  EXPECT_TRUE(layer<PaddedConvShape>(shape, 1).batch_norm);
  EXPECT_FALSE(layer<PaddedConvShape>(shape, 2).batch_norm);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 3).out_features(), 128 * 2 * 2);
  EXPECT_EQ(layer<DenseShape>(shape, 4).in, 512);
  EXPECT_EQ(Network(shape).multiply_adds(),
            32 * 32 * 27 * 16 + 3 * 256 * 9 * 16 * 32 + 512 * 1024 + 1024 * 256 + 256 * 100);
}

// Parameters as published for 10 classes: He et al. 2016 and Sandler et al. 2018 as they are built for images
// of 32 x 32. Multiply-adds of convolutions and of the last layer, by hand.
TEST(ImageNetwork, has_the_sizes_of_resnet18_and_mobilenet_v2) {
  struct Published {
    const char* text;
    index_t parameters, multiply_adds;
  };
  for (const auto& [text, parameters, multiply_adds] :
       {Published{"resnet18:classes", 11'173'962, 555'422'720},
        Published{"mobilenet_v2:classes", 2'236'682, 87'976'448}}) {
    const NetworkShape shape =
        NetworkShape::resolve("expert", nn::parse_network(text, NetworkRole::expert), cifar, 10);
    const Network network(shape);
    EXPECT_EQ(network.parameter_count(), parameters) << text;
    EXPECT_EQ(network.multiply_adds(), multiply_adds) << text;
  }
}

TEST(ImageNetwork, links_residual_blocks) {
  using Place = std::optional<std::size_t>;
  const auto links_of = [](const std::string& text) {
    std::vector<std::tuple<std::size_t, Place, Place>> all;
    for (const auto& [layer, of] : shape_of(text, cifar).links) all.emplace_back(layer, of.input, of.skip);
    return all;
  };
  using testing::ElementsAre;
  const Place none;
  // As it is; and through a 1x1 convolution, past which the block begins again.
  EXPECT_THAT(links_of("padded_conv:4 residual:4 dense:classes"), ElementsAre(std::tuple(2, none, 0)));
  EXPECT_THAT(links_of("padded_conv:4 residual:4/2 dense:classes"),
              ElementsAre(std::tuple(2, 0, none), std::tuple(3, none, 1)));
  EXPECT_THAT(links_of("padded_conv:4 residual:5 dense:classes"),
              ElementsAre(std::tuple(2, 0, none), std::tuple(3, none, 1)));
  EXPECT_THAT(links_of("padded_conv:4 inverted_residual:4*2 dense:classes"),
              ElementsAre(std::tuple(3, none, 0)));
  EXPECT_THAT(links_of("padded_conv:4 inverted_residual:4 dense:classes"), ElementsAre(std::tuple(2, none, 0)));
  EXPECT_THAT(links_of("padded_conv:4 inverted_residual:4/2 inverted_residual:5 dense:classes"), ElementsAre());
}

TEST(ImageNetwork, wants_a_convolution_before_a_residual_block) {
  for (const std::string block : {"residual:3", "inverted_residual:3*2"}) {
    EXPECT_EQ(
        config_error_of([&] { shape_of(block + " dense:classes", cifar); }),
        "layer 1 of the expert is a residual block without a convolution before it, whose result it would "
        "add; begin with `padded_conv:N [batch_norm] [relu]`");
    EXPECT_THAT(config_error_of([&] { shape_of("conv:3 relu max_pool " + block + " dense:classes", cifar); }),
                HasSubstr("layer 4 of the expert is a residual block without"));
    EXPECT_NO_THROW(shape_of("padded_conv:3 relu max_pool " + block + " dense:classes", cifar));
  }
}

// By hand. Samples are data: what reads them gives them no gradient.
TEST(TrainingMultiplyAdds, are_those_of_forward_weights_and_the_inputs_behind_the_first_layer) {
  const auto of = [](const std::string& text, tensor::SampleShape sample, index_t classes) {
    const auto layers = nn::parse_network(text, NetworkRole::expert);
    return Network(NetworkShape::resolve("expert", layers, sample, classes)).training_multiply_adds();
  };
  constexpr tensor::SampleShape digits{1, 28, 28};
  EXPECT_EQ(of("dense:classes", digits, 10), 2 * 784 * 10);
  EXPECT_EQ(of("dense:256 relu dense:classes", digits, 10), 2 * 784 * 256 + 3 * 256 * 10);
  EXPECT_EQ(of("patch_filters:8 cubic sum:classes", {1, 4, 50}, 2), 2 * 4 * 16 * 50);
  // The fused stage, 26 x 26 places: its gradient comes from one of the four in a window.
  EXPECT_EQ(of("conv:8 relu max_pool dense:classes", digits, 10),
            26 * 26 * 9 * 8 + 13 * 13 * 9 * 8 + 3 * (13 * 13 * 8) * 10);
  // 25 x 25 places: the last row and column are in no window.
  EXPECT_EQ(of("conv:8 relu max_pool dense:classes", {1, 27, 27}, 10),
            24 * 24 * 9 * 8 + 12 * 12 * 9 * 8 + 3 * (12 * 12 * 8) * 10);
  // A convolution that is not fused, as the first layer and behind another.
  EXPECT_EQ(of("padded_conv:4 relu padded_conv:6 relu dense:classes", {5, 8, 8}, 10),
            2 * 64 * 9 * 5 * 4 + 3 * 64 * 9 * 4 * 6 + 3 * (64 * 6) * 10);
}

TEST(ImageNetwork, keeps_the_librarys_order_between_convolutions) {
  using ops::ImageOrder;
  const NetworkShape shape = shape_of("padded_conv:5 padded_conv:6 relu padded_conv:7 dense:classes", cifar);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 0).in_order, ImageOrder::channels_first);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 0).out_order, ImageOrder::channels_last);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 1).in_order, ImageOrder::channels_last);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 2).in_order, ImageOrder::channels_last);
  EXPECT_EQ(layer<PaddedConvShape>(shape, 2).out_order, ImageOrder::channels_first);
}

TEST(ImageNetwork, has_its_tensors_in_the_table_of_norms_and_its_names_in_order) {
  for (const auto text : {cifar_expert, "conv:3 batch_norm relu max_pool padded_conv:2 dense:classes",
                          "padded_conv:3 batch_norm relu max_pool padded_conv:2 batch_norm dense:classes",
                          "padded_conv:3 dense:classes"}) {
    SCOPED_TRACE(text);
    const NetworkShape shape = shape_of(text, cifar);
    Network network({"experts/0000"}, shape, {}, 1);
    expect_norm_entries(network, shape);
    index_t parameters = 0;
    for (index_t l = 0; l < network.layer_count(); ++l)
      for (const Parameter& parameter : network.layer(l).parameters()) parameters += parameter.count();
    EXPECT_EQ(parameters, Network(shape).parameter_count()) << text;
  }
  Network network({"gate"}, shape_of(cifar_expert, cifar), {}, 1);
  std::vector<std::string> names;
  for (index_t l = 0; l < network.layer_count(); ++l) {
    for (const Parameter& parameter : network.layer(l).parameters())
      names.push_back(network.name_of(0, parameter));
    for (const StateArray& state : network.layer(l).state()) names.push_back(network.name_of(0, state));
  }
  names.resize(14);
  EXPECT_THAT(names, testing::ElementsAre(
                         "gate/conv_1/weight", "gate/conv_1/bias", "gate/conv_2/weight",
                         "gate/batch_norm_1/gamma", "gate/batch_norm_1/beta", "gate/batch_norm_1/running_mean",
                         "gate/batch_norm_1/running_variance", "gate/conv_3/weight", "gate/conv_3/bias",
                         "gate/conv_4/weight", "gate/batch_norm_2/gamma", "gate/batch_norm_2/beta",
                         "gate/batch_norm_2/running_mean", "gate/batch_norm_2/running_variance"));
}

TEST(ImageNetwork, says_what_cannot_stand_where) {
  EXPECT_EQ(
      config_error_of([] { shape_of("padded_conv:3 max_pool max_pool dense:classes", cifar); }),
      "layer 3 of the expert, max_pool, cannot stand there (convolutions come first: `conv:N [batch_norm] relu "
      "max_pool`, then any number of `padded_conv:N [batch_norm] [relu or relu6] [max_pool]`, pointwise and depthwise "
      "ones and residual blocks; after them only `global_average_pool` and `dense:N [relu]` can follow; patch filters stand alone); "
      "change model.expert");
  for (const auto text :
       {"batch_norm dense:classes", "padded_conv:3 relu batch_norm dense:classes",
        "padded_conv:3 conv:2 relu max_pool dense:classes", "dense:3 batch_norm dense:classes"}) {
    EXPECT_THAT(config_error_of([&] { shape_of(text, cifar); }), HasSubstr("cannot stand there")) << text;
  }
  EXPECT_EQ(config_error_of([] {
              shape_of("padded_conv:3 max_pool padded_conv:2 relu max_pool dense:classes", {5, 3, 9});
            }),
            "layer 5 of the expert, max_pool, is given images of 1 x 4 pixels (it takes the largest of 2 x 2); "
            "remove it, or pool less often before it");
  EXPECT_THAT(config_error_of([] { shape_of("conv:3 dense:classes", cifar); }),
              HasSubstr("or padded_conv:N, which any of these may follow"));
}

TEST(NetworkShape, is_refused_beyond_the_sizes_that_are_computed_with) {
  EXPECT_EQ(
      config_error_of([] { shape_of("padded_conv:3 residual:1000000000 dense:classes", cifar); }),
      "layer 2 of the expert makes 1.02e+12 numbers of a sample (at most 1e+09 are computed with); give a smaller "
      "number in model.expert");
  EXPECT_THAT(config_error_of([] {
                shape_of("padded_conv:1000000 inverted_residual:4*1000 dense:classes", {1, 1, 1});
              }),
              HasSubstr("the expert has 1e+15 parameters"));
  EXPECT_THAT(config_error_of([] {
                shape_of("padded_conv:1000001 inverted_residual:4*1000 dense:classes", {1, 1, 1});
              }),
              HasSubstr("layer 2 of the expert makes 1e+09 numbers of a sample"));
  for (const auto text : {"conv:100000000 relu max_pool dense:classes", "padded_conv:1000000000 dense:classes"})
    EXPECT_THAT(config_error_of([&] {
                  shape_of(text, {1, 28, 28});
                }),
                HasSubstr("numbers of a sample"))
        << text;
  EXPECT_EQ(config_error_of([] {
              shape_of("dense:1000000000 dense:100000000 dense:classes", {1, 1, 1});
            }),
            "the expert has 1e+17 parameters (at most 1e+13 are computed with); give smaller numbers in "
            "model.expert");
}

// Before its ReLU, which becomes a layer of its own without a number in names.
TEST(HiddenVector, is_the_output_of_the_dense_layer_before_the_last) {
  NetworkShape shape = shape_of("padded_conv:3 dense:8 relu dense:6 relu dense:classes", cifar);
  EXPECT_EQ(shape.hidden(), 6);
  EXPECT_EQ(Network(shape).shown_hidden(), 0);
  shape.show_hidden();
  EXPECT_EQ(shape.hidden(), 6);
  EXPECT_EQ(shape.layers.size(), 5U);
  EXPECT_FALSE(layer<DenseShape>(shape, 2).relu);
  EXPECT_EQ(layer<RowFunctionShape>(shape, 3).features, 6);
  const Network network(shape);
  EXPECT_EQ(network.shown_hidden(), 6);
  EXPECT_EQ(network.layer(4).parameters()[0].name, "dense_3/weight");
  shape.layers.push_back(RowFunctionShape{RowFunctionShape::Kind::log_softmax, 2});
  EXPECT_EQ(shape.hidden(), 6);
  EXPECT_EQ(Network(shape).parameter_count(), network.parameter_count());
  NetworkShape pooled = shape_of("padded_conv:3 relu global_average_pool dense:classes", cifar);
  pooled.show_hidden();
  EXPECT_EQ(pooled.hidden(), 3);
  EXPECT_EQ(Network(pooled).shown_hidden(), 3);
  EXPECT_EQ(pooled.layers.size(), 3U);
  NetworkShape without = shape_of("padded_conv:3 dense:classes", cifar);
  without.show_hidden();
  EXPECT_EQ(without.hidden(), 0);
  EXPECT_EQ(Network(without).shown_hidden(), 0);
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
