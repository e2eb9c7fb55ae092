// The certainty of the experts' outputs (later code of Krishnamurthy et al. 2023, reference V7): the most
// certain one answers. No network and no gradient.
#include "config/require.hpp"
#include "moe/routers/steps.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

class MostCertainRouter final : public Router {
 public:
  explicit MostCertainRouter(const RouterSetup& setup) : Router(setup) {}

  Routing route(const nn::Pass& pass) override {
    Routing routing = allocate_routing(pass, options());
    take_all(pass.context, routing);
    return routing;
  }

  // The weights are those that would mix the experts; the logarithms let one of them answer.
  void weigh(const nn::Pass& pass, LayerOutput& output) const override {
    Routing& routing = output.routing;
    const tensor::Matrix certainty = tensor::allocate_matrix(pass.workspace(), routing.samples, routing.slots);
    ops::certainties(pass.context, output.slot_rows(), certainty);
    ops::softmax(pass.context, certainty, routing.weights);
    ops::choose_one(pass.context, certainty, routing.log_weights);
    routing.scores = routing.noisy = certainty;
  }
};

void validate(const RouterRequest& request, bool chosen) {
  config::require(
      !chosen || request.of_likelihood,
      "model.gate = most_certain:experts with another loss than model.loss = likelihood (certainty is of "
      "distributions, and one expert answers); set model.loss = likelihood");
}

}  // namespace

RouterKind most_certain_router() {
  return {.end = "most_certain",
          .scores = ScoresOf::outputs,
          .validate = validate,
          .describe = [](const Options&,
                         const nn::NetworkShape&) { return std::string("the most certain expert answers"); },
          .make = [](const RouterSetup& setup) -> std::unique_ptr<Router> {
            return std::make_unique<MostCertainRouter>(setup);
          }};
}

}  // namespace switchyard::moe
