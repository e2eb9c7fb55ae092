// Scores by a network of the sample (Jacobs et al. 1991; Shazeer et al. 2017; reference V1 and V3): all experts
// see a sample, or those with the largest scores, to which noise may be added.
#include <fmt/format.h>

#include "base/hash.hpp"
#include "moe/routers/score_router.hpp"
#include "moe/routers/steps.hpp"
#include "ops/moe/choice.hpp"
#include "ops/moe/slots.hpp"
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
        noise_scale_(static_cast<float>(noise_scale(options()))),
        bias_name_(setup.name + "/choice/bias"),
        has_bias_(options().bias_rate > 0),
        bias_(options().experts, setup.network_options.memory) {}

  Routing route(const nn::Pass& pass) override {
    Routing routing = allocate_routing(pass, options());
    allocate_weights(pass, options(), routing);
    routing.noise_deviation = noise_scale_;
    if (options().top_k == 0) take_all(pass.context, routing);
    const auto room_for = [&](bool wanted) {
      return wanted ? tensor::allocate_matrix(pass.workspace(), routing.samples, options().experts)
                    : tensor::Matrix();
    };
    const tensor::Matrix noisy = room_for(adds_noise(pass));
    const bool by_shares = has_bias_ || options().groups > 0;
    const tensor::Matrix shares = room_for(by_shares && chooses(options()));
    const tensor::Matrix log_sigmoids = room_for(options().scores == GateScores::sigmoid);
    const auto with_scores = [&](tensor::ConstMatrix clean) {
      Routing all = routing;
      all.clean = clean;
      all.noisy = noisy.data != nullptr ? tensor::ConstMatrix(noisy) : clean;
      all.scores = options().gate_value == GateValue::noisy_softmax ? all.noisy : clean;
      if (log_sigmoids.data != nullptr) {
        all.logits = all.scores;
        all.scores = log_sigmoids;
      }
      all.chosen_by = shares;
      return all;
    };
    return with_scores(network()->forward(pass, [&](IndexRange rows, tensor::ConstMatrix clean) {
      if (noisy.data != nullptr) add_noise(pass, rows, clean, noisy);
      const Routing piece = with_scores(clean).rows_from(rows);
      if (log_sigmoids.data != nullptr)
        ops::log_sigmoid(pass.context, piece.logits, log_sigmoids.rows_from(rows));
      if (shares.data != nullptr) choose_by(pass.context, piece.scores, shares.rows_from(rows));
      choose(pass.context, piece);
    }));
  }

  void backward_scores(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                       const RegulariserGradients& regularisers) override {
    if (network()->frozen()) return;
    backward_to_scores(pass, output.routing, options().measure, gradients.slots, regularisers,
                       network()->begin_backward(pass));
  }

  void after_update(device::Context& context, Span<const std::int64_t> loads) override {
    if (has_bias_ && !network()->frozen()) ops::move_biases(context, loads, options().bias_rate, bias_.span());
  }

  std::vector<nn::NamedArray> state() override {
    if (!has_bias_) return {};
    return {{bias_name_, {options().experts}, bias_.data(), true, nn::Role::router}};
  }

 private:
  bool adds_noise(const nn::Pass& pass) const {
    return options().noise != GateNoise::none && (pass.is_training() || options().noise_when == When::always);
  }
  void add_noise(const nn::Pass& pass, IndexRange rows, tensor::ConstMatrix clean, tensor::Matrix noisy) const {
    const nn::Batch& samples = pass.batch;
    const std::uint32_t step = options().noise_draw == NoiseDraw::once ? 0 : samples.step;
    const bool normal = options().noise == GateNoise::normal;
    ops::add_noise(pass.context, clean.rows_from(rows), samples.ids.subspan(rows.begin, rows.size()),
                   {.spread = normal ? ops::NoiseSpread::normal : ops::NoiseSpread::uniform,
                    .scale = noise_scale_,
                    .key = {noise_seed_, step, samples.stream}},
                   noisy.rows_from(rows));
  }
  void choose(device::Context& context, const Routing& routing) const {
    if (options().top_k > 0) {
      const tensor::ConstMatrix by = routing.chosen_by.data != nullptr ? routing.chosen_by : routing.noisy;
      ops::top_k(context, by, slots(), routing.experts.data());
    }
    weigh_by_scores(context, options(), routing);
  }

  // By which experts are chosen: the softmax over all, or the sigmoid, and the bias; of the best groups.
  void choose_by(device::Context& context, tensor::ConstMatrix scores, tensor::Matrix shares) const {
    const bool of_sigmoids = options().scores == GateScores::sigmoid;
    ops::biased_shares(context, scores, of_sigmoids ? ops::WeightSum::one : ops::WeightSum::experts,
                       bias_.span(), shares);
    if (options().groups > 0) ops::keep_best_groups(context, {options().groups, options().top_groups}, shares);
  }

  std::uint64_t noise_seed_;
  float noise_scale_;
  std::string bias_name_;
  bool has_bias_;
  device::Buffer<float> bias_;  // [E], zeros where there is none
};

}  // namespace

std::string describe_scores(const Options& moe, const nn::NetworkShape& /*network*/) {
  const bool of_softmax = moe.scores == GateScores::softmax;
  std::string text = fmt::format("weight {}, noise {}", word_of(moe, of_softmax ? "gate_value" : "scores"),
                                 word_of(moe, "noise"));
  if (moe.normalise != Normalise::automatic)
    text += fmt::format(", normalised over {}", word_of(moe, "normalise"));
  if (moe.groups > 0) text += fmt::format(", of {} of {} groups", moe.top_groups, moe.groups);
  if (moe.bias_rate > 0) text += fmt::format(", chosen with a bias of rate {}", moe.bias_rate);
  if (moe.scale != 1) text += fmt::format(", times {}", moe.scale);
  if (moe.capacity > 0) text += fmt::format(", capacity {} by {}", moe.capacity, word_of(moe, "drop"));
  if (moe.noise != GateNoise::none) {
    text += fmt::format(" of scale {:.4g} ({}, {})", noise_scale(moe), word_of(moe, "noise_draw"),
                        word_of(moe, "noise_when"));
  }
  if (moe.expert_temperature != 1)
    text += fmt::format(", experts learn at temperature {}", moe.expert_temperature);
  return text;
}

std::unique_ptr<Router> make_score_router(const RouterSetup& setup) {
  return std::make_unique<ScoreRouter>(setup);
}

RouterKind score_router() {
  return {.end = "",
          .scores = ScoresOf::samples,
          .has_network = true,
          .resolve =
              [](const RouterTask& task) {
                return nn::NetworkShape::resolve("gate", task.layers, task.sample, task.moe.experts);
              },
          .describe = describe_scores,
          .make = make_score_router};
}

}  // namespace switchyard::moe
