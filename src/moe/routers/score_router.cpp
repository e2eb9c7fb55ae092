// Scores by a network of the sample (Jacobs et al. 1991; Shazeer et al. 2017; reference V1 and V3): all experts
// see a sample, or those with the largest scores, to which noise may be added.
#include <fmt/format.h>

#include "base/hash.hpp"
#include "moe/routers/steps.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

// V-MoE (Riquelme et al. 2021) has normal noise with standard deviation 1/E.
double noise_scale(const Options& moe) {
  if (moe.noise_scale > 0) return moe.noise_scale;
  return moe.noise == GateNoise::normal ? 1.0 / static_cast<double>(moe.experts) : 1.0;
}

// The layers of a model see the same rows: each has noise of its own. The router of a model that has one layer
// is "gate" and keeps the run's seed.
std::uint64_t noise_seed(const RouterSetup& setup) {
  return setup.name == "gate" ? setup.seed : setup.seed ^ fnv1a(setup.name);
}

class ScoreRouter final : public Router {
 public:
  explicit ScoreRouter(const RouterSetup& setup)
      : Router(setup),
        noise_seed_(noise_seed(setup)),
        noise_scale_(static_cast<float>(noise_scale(options()))) {}

  Routing route(const nn::Pass& pass) override {
    Routing routing = allocate_routing(pass, slots());
    routing.clean = network()->forward(pass);
    routing.noisy = add_noise(pass, routing.clean);
    routing.noise_deviation = noise_scale_;
    routing.scores = options().gate_value == GateValue::noisy_softmax ? routing.noisy : routing.clean;
    if (options().top_k == 0) {
      take_all(routing);
    } else {
      ops::top_k(pass.context, routing.noisy, slots(), routing.experts.data());
    }
    weigh_by_scores(pass.context, options().gate_value, routing);
    return routing;
  }

  void backward_scores(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                       const RegulariserGradients& regularisers) override {
    if (network()->frozen()) return;
    backward_to_scores(pass, output.routing, options().measure, gradients.slots, regularisers,
                       network()->begin_backward(pass));
  }

 private:
  tensor::ConstMatrix add_noise(const nn::Pass& pass, tensor::ConstMatrix logits) const {
    const bool wanted =
        options().noise != GateNoise::none && (pass.is_training() || options().noise_when == NoiseWhen::always);
    if (!wanted) return logits;
    const nn::Batch& samples = pass.batch;
    const std::uint32_t step = options().noise_draw == NoiseDraw::once ? 0 : samples.step;
    const tensor::Matrix noisy = tensor::allocate_matrix(pass.workspace(), logits.rows, logits.cols);
    const bool normal = options().noise == GateNoise::normal;
    ops::add_noise(pass.context, logits, samples.ids,
                   {.spread = normal ? ops::NoiseSpread::normal : ops::NoiseSpread::uniform,
                    .scale = noise_scale_,
                    .key = {noise_seed_, step, samples.stream}},
                   noisy);
    return noisy;
  }

  std::uint64_t noise_seed_;
  float noise_scale_;
};

std::string describe(const Options& moe, const nn::NetworkShape& /*network*/) {
  std::string text = fmt::format("weight {}, noise {}", word_of(moe, "gate_value"), word_of(moe, "noise"));
  if (moe.noise != GateNoise::none) {
    text += fmt::format(" of scale {:.4g} ({}, {})", noise_scale(moe), word_of(moe, "noise_draw"),
                        word_of(moe, "noise_when"));
  }
  if (moe.expert_temperature != 1)
    text += fmt::format(", experts learn at temperature {}", moe.expert_temperature);
  return text;
}

}  // namespace

RouterKind score_router() {
  return {.end = "",
          .scores = ScoresOf::samples,
          .has_network = true,
          .resolve =
              [](const RouterTask& task) {
                return nn::NetworkShape::resolve("gate", task.layers, task.sample, task.moe.experts);
              },
          .describe = describe,
          .make = [](const RouterSetup& setup) -> std::unique_ptr<Router> {
            return std::make_unique<ScoreRouter>(setup);
          }};
}

}  // namespace switchyard::moe
