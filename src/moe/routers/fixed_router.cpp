// Every expert sees every sample with weight 1. Of several experts that would be no mixture, so model.gate =
// none has one (reference V6).
#include "config/require.hpp"
#include "moe/routers/steps.hpp"
#include "ops/moe/slots.hpp"

namespace switchyard::moe {
namespace {

class FixedRouter final : public Router {
 public:
  explicit FixedRouter(const RouterSetup& setup) : Router(setup) {}

  Routing route(const nn::Pass& pass) override {
    Routing routing = allocate_routing(pass, options());
    take_all(pass.context, routing);
    ops::weigh_fully(pass.context, routing.weights, routing.log_weights);
    return routing;
  }
};

void validate(const RouterRequest& request, bool chosen) {
  if (!chosen) return;
  const Options& moe = request.moe;
  config::require(
      moe.experts == 1,
      "model.gate = none with moe.experts = {} (nothing chooses among the experts); write its layers, such as: "
      "dense:32 relu dense:experts, or set moe.experts = 1",
      moe.experts);
  config::require(moe.noise == GateNoise::none,
                  "moe.noise is set with model.gate = none (there is one expert and no score); set it to none");
}

}  // namespace

RouterKind fixed_router() {
  return {
      .end = nn::no_layers,
      .choice = "nothing to choose",
      .validate = validate,
      .describe = [](const Options&, const nn::NetworkShape&) { return std::string("none, a single expert"); },
      .make = [](const RouterSetup& setup) -> std::unique_ptr<Router> {
        return std::make_unique<FixedRouter>(setup);
      }};
}

}  // namespace switchyard::moe
