// Cosines of a projected sample and a vector of each expert (Chi et al. 2022, X-MoE): scores whose size says
// nothing of the sample's.
#include <fmt/format.h>

#include "config/require.hpp"
#include "moe/routers/score_router.hpp"
#include "nn/network.hpp"

namespace switchyard::moe {
namespace {

void validate(const RouterRequest& request, bool chosen) {
  const Options defaults;
  const bool is_set = request.moe.cosine_width != defaults.cosine_width ||
                      request.moe.cosine_temperature != defaults.cosine_temperature;
  config::require(
      chosen || !is_set,
      "moe.cosine_width or moe.cosine_temperature is set with model.gate = '{}' (only a gate that ends in "
      "cosine:experts reads them); remove them, or end it so, or that of a transformer by moe.router = cosine",
      request.gate);
}

nn::NetworkShape resolve(const RouterTask& task) {
  nn::NetworkShape shape = nn::NetworkShape::resolve("gate", task.layers, task.sample, task.moe.experts);
  const index_t features = shape.empty() ? task.sample.features() : nn::Network(shape).out_features();
  const index_t width = task.moe.cosine_width;
  shape.layers.push_back(nn::DenseShape{.in = features, .out = width, .bias = false, .name = "projection"});
  shape.layers.push_back(
      nn::CosineShape{.in = width, .out = task.moe.experts, .temperature = task.moe.cosine_temperature});
  return shape;
}

std::string describe(const Options& moe, const nn::NetworkShape& network) {
  return fmt::format("cosines of width {} at temperature {}, {}", moe.cosine_width, moe.cosine_temperature,
                     describe_scores(moe, network));
}

}  // namespace

RouterKind cosine_router() {
  return {.end = "cosine",
          .scores = ScoresOf::samples,
          .has_network = true,
          .validate = validate,
          .resolve = resolve,
          .describe = describe,
          .make = make_score_router};
}

}  // namespace switchyard::moe
