// Attention (Krishnamurthy et al. 2023, reference V4): a query by a network of the sample, keys by the experts'
// hidden vectors. ops/moe/attention.hpp has the formula.
#include <fmt/format.h>

#include "base/error.hpp"
#include "moe/routers/steps.hpp"
#include "ops/moe/attention.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

class AttentiveRouter final : public Router {
 public:
  explicit AttentiveRouter(const RouterSetup& setup) : Router(setup) {}

  Routing route(const nn::Pass& pass) override {
    Routing routing = allocate_routing(pass, options());
    network()->forward(pass);
    take_all(pass.context, routing);
    return routing;
  }

  void weigh(const nn::Pass& pass, LayerOutput& output) const override {
    Routing& routing = output.routing;
    const tensor::Matrix scores = tensor::allocate_matrix(pass.workspace(), routing.samples, options().experts);
    ops::attention_scores(pass.context, attention(output), scores);
    routing.scores = routing.noisy = scores;
    allocate_weights(pass, options(), routing);
    weigh_by_scores(pass.context, options(), routing);
  }

  // The experts learn from their keys, also where the queries stay as they are.
  void backward_scores(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                       const RegulariserGradients& regularisers) override {
    const tensor::Matrix d_queries = network()->begin_backward(pass);
    const tensor::Matrix d_scores =
        tensor::allocate_matrix(pass.workspace(), output.routing.samples, options().experts);
    backward_to_scores(pass, output.routing, options().measure, gradients.slots, regularisers, d_scores);
    ops::attention_backward(pass.context, attention(output), d_scores,
                            {d_queries, gradients.returned[Returned::hidden]});
  }

 private:
  ops::AttentionBatch attention(const LayerOutput& output) const {
    return {network()->output(), output.returned[Returned::hidden], options().experts};
  }
};

nn::NetworkShape resolve(const RouterTask& task) {
  const index_t width = task.expert.hidden();
  if (width == 0) {
    throw ConfigError(
        fmt::format("model.gate ends in attention:experts, and model.expert = '{}' has no hidden vector to "
                    "attend to (that of the dense layer before the last); write such as: dense:32 relu "
                    "dense:classes",
                    task.expert_text));
  }
  nn::NetworkShape shape = nn::NetworkShape::resolve("gate", task.layers, task.sample, width);
  const index_t features = shape.empty() ? task.sample.features() : nn::Network(shape).out_features();
  // A query of the features, then the map that takes keys' scores to hidden vectors: u = (g W_q) W_k.
  shape.layers.push_back(nn::DenseShape{.in = features, .out = width, .bias = false, .name = "query"});
  shape.layers.push_back(nn::DenseShape{.in = width, .out = width, .bias = false, .name = "key"});
  return shape;
}

}  // namespace

RouterKind attentive_router() {
  return {.end = "attention",
          .scores = ScoresOf::hidden_vectors,
          .has_network = true,
          .resolve = resolve,
          .describe =
              [](const Options&, const nn::NetworkShape& network) {
                return fmt::format("queries and keys of width {}", nn::Network(network).out_features());
              },
          .make = [](const RouterSetup& setup) -> std::unique_ptr<Router> {
            return std::make_unique<AttentiveRouter>(setup);
          }};
}

}  // namespace switchyard::moe
