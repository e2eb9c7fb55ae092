// What the optimiser is told that each parameter is for.
#include <gmock/gmock.h>

#include <map>
#include <string>

#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "model/model.hpp"

namespace switchyard::model {
namespace {

using testing::Pair;
using testing::UnorderedElementsAre;

using Roles = std::map<std::string, std::string, std::less<>>;

// By name, of every parameter. Whoever asks, arrays or slices of them, hears the same.
Roles roles_of(const ModelOptions& options, const Task& task) {
  comm::LocalCommunicator communicator;
  comm::HostDataPlane plane(communicator);
  device::Context context(1);
  const auto model = make_model(options, task, {communicator, plane, context});
  const auto name_of = [](nn::Role role) {
    return std::string(nn::role_names[static_cast<std::size_t>(role)]);
  };
  Roles of_arrays, of_slices;
  for (const nn::NamedArray& array : model->parameters()) of_arrays[array.name] = name_of(array.role);
  for (const nn::ParameterSlice& slice : model->slices()) {
    const auto [known, is_new] = of_slices.emplace(slice.name, name_of(slice.role));
    EXPECT_TRUE(is_new || known->second == name_of(slice.role)) << slice.name;
  }
  EXPECT_EQ(of_arrays, of_slices);
  return of_arrays;
}

ModelOptions options_of(const std::string& gate, const std::string& expert) {
  ModelOptions options;
  options.networks.gate = gate;
  options.networks.expert = expert;
  options.moe.experts = 2;
  options.batch_size = 16;
  options.shards = 8;
  return options;
}

// The dense matrices are so large that their gradients are products over whole rows.
TEST(Roles, of_convolutions_and_batch_norms) {
  const ModelOptions options =
      options_of("conv:2 batch_norm relu max_pool dense:16 relu dense:experts",
                 "conv:2 batch_norm relu max_pool padded_conv:2 relu dense:16 relu dense:classes");
  Roles expected;
  for (const std::string array : {"conv_1/weight", "conv_1/bias", "batch_norm_1/gamma", "batch_norm_1/beta",
                                  "dense_1/weight", "dense_1/bias", "dense_2/weight", "dense_2/bias"})
    expected["gate/" + array] = "router";
  for (const std::string expert : {"experts/0000/", "experts/0001/"}) {
    for (const std::string layer : {"conv_1/", "conv_2/", "dense_1/", "dense_2/"}) {
      expected[expert + layer + "weight"] = "weight";
      expected[expert + layer + "bias"] = "bias";
    }
    for (const std::string array : {"gamma", "beta"}) expected[expert + "batch_norm_1/" + array] = "norm";
  }
  EXPECT_EQ(roles_of(options, {{1, 12, 12}, 3}), expected);
}

TEST(Roles, of_filters_over_patches) {
  ModelOptions options = options_of("none", "patch_filters:2 bias cubic sum:classes");
  options.moe.experts = 1;
  EXPECT_THAT(roles_of(options, {{1, 4, 9}, 3}),
              UnorderedElementsAre(Pair("experts/0000/patch_filters_1/weight", "weight"),
                                   Pair("experts/0000/patch_filters_1/bias", "bias")));
}

TEST(Roles, of_the_model_of_text) {
  ModelOptions options = options_of("dense:experts", "dense:8 relu dense:width");
  options.networks.family = Family::tokens;
  options.networks.tokens = {.width = 4, .blocks = 2};
  Roles expected = {{"embedding/weight", "embedding"}, {"norm/weight", "norm"}};
  for (const std::string block : {"blocks/00/", "blocks/01/"}) {
    expected[block + "norm/weight"] = "norm";
    for (const std::string array : {"weight", "bias"}) {
      expected[block + "mixture/gate/dense_1/" + array] = "router";
      for (const std::string expert : {"0000", "0001"}) {
        for (const std::string layer : {"dense_1/", "dense_2/"})
          expected[block + "mixture/experts/" + expert + "/" + layer + array] = array;
      }
    }
  }
  const Task task{.sample = {1, 1, 6}, .classes = 256, .window = 6};
  EXPECT_EQ(roles_of(options, task), expected);
}

}  // namespace
}  // namespace switchyard::model
