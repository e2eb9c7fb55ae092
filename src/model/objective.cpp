#include "model/objective.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "ops/moe/mixture.hpp"
#include "ops/moe/weighted_sum.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {
namespace {

Scores allocate_scores(device::Workspace& workspace, index_t samples) {
  return {workspace.allocate<float>(samples), workspace.allocate<std::int32_t>(samples)};
}

tensor::Matrix allocate_slots(device::Workspace& workspace, const moe::Routing& routing) {
  return tensor::allocate_matrix(workspace, routing.samples, routing.slots);
}

// What the losses of distributions read; power, temperature and who answers are the loss's own.
ops::MixtureBatch mixture_batch(const moe::LayerOutput& output, Span<const std::int32_t> labels,
                                index_t classes) {
  return {.samples = output.routing.samples,
          .slots = output.routing.slots,
          .log_probs = output.slot_rows(),
          .labels = labels.data(),
          .classes = classes};
}

// Where one expert answers.
Span<const float> answer_losses(device::Context& context, const ops::MixtureBatch& batch,
                                const moe::Routing& routing) {
  const Span<float> losses = context.workspace().allocate<float>(routing.samples);
  ops::answer_losses(context, batch, routing.log_weights, losses);
  return losses;
}

class LikelihoodObjective final : public Objective {
 public:
  LikelihoodObjective(index_t classes, bool competing, double expert_temperature)
      : Objective(classes),
        competing_(competing),
        expert_temperature_(static_cast<float>(expert_temperature)) {}

  Scores forward(device::Context& context, const moe::LayerOutput& output,
                 Span<const std::int32_t> labels) override {
    const moe::Routing& routing = output.routing;
    device::Workspace& workspace = context.workspace();
    const Scores scores = allocate_scores(workspace, routing.samples);
    const tensor::Matrix posteriors = allocate_slots(workspace, routing);
    const tensor::Matrix of_experts =
        expert_temperature_ == 1.0F ? posteriors : allocate_slots(workspace, routing);
    ops::mixture_forward(context, batch(output, labels), routing.log_weights,
                         {.losses = scores.losses,
                          .posteriors = posteriors,
                          .predicted = scores.predicted,
                          .expert_posteriors = of_experts});
    posteriors_ = {posteriors, of_experts};
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, Span<const std::int32_t> labels,
                float scale, const moe::SlotGradients& gradients) override {
    ops::mixture_backward(context, batch(output, labels), posteriors_, scale,
                          {gradients.slot_rows(), gradients.slots});
  }

  // One slot's weight is a probability under all experts, so that the gate learns; the slot answers alone.
  Span<const float> likelihood_losses(device::Context& context, const moe::LayerOutput& output,
                                      Span<const std::int32_t> labels, const Scores& scores) const override {
    const bool one_answers = competing_ || output.routing.slots == 1;
    return one_answers ? answer_losses(context, batch(output, labels), output.routing) : scores.losses;
  }

 private:
  ops::MixtureBatch batch(const moe::LayerOutput& output, Span<const std::int32_t> labels) const {
    ops::MixtureBatch batch = mixture_batch(output, labels, outputs());
    batch.power = competing_ ? 0.5F : 1.0F;
    batch.expert_temperature = expert_temperature_;
    batch.one_answers = competing_;
    return batch;
  }

  bool competing_;  // the stochastic loss
  float expert_temperature_;
  ops::Posteriors posteriors_;
};

class PredictedLossObjective final : public Objective {
 public:
  explicit PredictedLossObjective(index_t classes) : Objective(classes) {}

  ops::GateMeasure measure() const override { return ops::GateMeasure::score; }

  Scores forward(device::Context& context, const moe::LayerOutput& output,
                 Span<const std::int32_t> labels) override {
    device::Workspace& workspace = context.workspace();
    const moe::Routing& routing = output.routing;
    const Scores scores = allocate_scores(workspace, routing.samples);
    const tensor::Matrix answering = allocate_slots(workspace, routing);
    ops::choose_one(context, routing.log_weights, answering);  // as statistics count
    posteriors_ = allocate_slots(workspace, routing);
    ops::mixture_forward(context, batch(output, labels), answering,
                         {.losses = scores.losses, .posteriors = posteriors_, .predicted = scores.predicted});
    ops::add_prediction_errors(context, batch(output, labels), routing.scores, scores.losses);
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, Span<const std::int32_t> labels,
                float scale, const moe::SlotGradients& gradients) override {
    ops::mixture_backward(context, batch(output, labels), {posteriors_, posteriors_}, scale,
                          {gradients.slot_rows(), gradients.slots});
    ops::prediction_error_backward(context, batch(output, labels), output.routing.scores, scale,
                                   gradients.slots);
  }

  Span<const float> likelihood_losses(device::Context& context, const moe::LayerOutput& output,
                                      Span<const std::int32_t> labels,
                                      const Scores& /*scores*/) const override {
    return answer_losses(context, batch(output, labels), output.routing);
  }

 private:
  ops::MixtureBatch batch(const moe::LayerOutput& output, Span<const std::int32_t> labels) const {
    ops::MixtureBatch batch = mixture_batch(output, labels, outputs());
    batch.one_answers = true;
    return batch;
  }

  tensor::Matrix posteriors_;
};

class WeightedSumObjective final : public Objective {
 public:
  WeightedSumObjective(ops::SumLoss loss, moe::GateValue value, index_t classes)
      : Objective(loss == ops::SumLoss::logistic ? 1 : classes), loss_(loss), value_(value) {}

  moe::ExpertHead head() const override { return moe::ExpertHead::none; }
  ops::GateMeasure measure() const override {
    return value_ == moe::GateValue::noisy_logit ? ops::GateMeasure::score : ops::GateMeasure::weight;
  }
  std::int32_t class_of(const float* row) const override {
    return loss_ == ops::SumLoss::logistic ? (row[0] > 0.0F ? 1 : 0) : Objective::class_of(row);
  }

  Scores forward(device::Context& context, const moe::LayerOutput& output,
                 Span<const std::int32_t> labels) override {
    const index_t samples = output.routing.samples;
    const Scores scores = allocate_scores(context.workspace(), samples);
    d_sum_ = tensor::allocate_matrix(context.workspace(), samples, outputs());
    ops::weighted_sum_forward(context, batch(output, labels), {scores.losses, scores.predicted, d_sum_});
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, Span<const std::int32_t> labels,
                float scale, const moe::SlotGradients& gradients) override {
    ops::weighted_sum_backward(context, batch(output, labels), d_sum_,
                               {scale, measure(), gradients.slot_rows(), gradients.slots});
  }

 private:
  ops::WeightedSumBatch batch(const moe::LayerOutput& output, Span<const std::int32_t> labels) const {
    return {.loss = loss_,
            .slots = output.routing.slots,
            .outputs = outputs(),
            .rows = output.slot_rows(),
            .weights = output.routing.factors,
            .labels = labels.data()};
  }

  ops::SumLoss loss_;
  moe::GateValue value_;
  tensor::Matrix d_sum_;
};

}  // namespace

std::unique_ptr<Objective> Objective::make(const MixtureOptions& mixture, index_t classes) {
  const moe::GateValue value = mixture.moe.gate_value;
  switch (mixture.networks.loss) {
    case Loss::likelihood:
      return std::make_unique<LikelihoodObjective>(classes, false, mixture.moe.expert_temperature);
    case Loss::stochastic:
      return std::make_unique<LikelihoodObjective>(classes, true, mixture.moe.expert_temperature);
    case Loss::predicted_loss:
      return std::make_unique<PredictedLossObjective>(classes);
    case Loss::cross_entropy:
      return std::make_unique<WeightedSumObjective>(ops::SumLoss::cross_entropy, value, classes);
    case Loss::double_softmax:
      return std::make_unique<WeightedSumObjective>(ops::SumLoss::double_softmax, value, classes);
    case Loss::logistic:
      if (classes != 2) {
        throw ConfigError(fmt::format(
            "model.loss = logistic with {} classes (it tells two apart); use cross_entropy", classes));
      }
      return std::make_unique<WeightedSumObjective>(ops::SumLoss::logistic, value, classes);
  }
  return nullptr;
}

std::int32_t Objective::class_of(const float* row) const {
  return static_cast<std::int32_t>(std::max_element(row, row + outputs_) - row);
}

}  // namespace switchyard::model
