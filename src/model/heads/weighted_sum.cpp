// Losses of the gate-weighted sum of the experts' outputs.
#include "ops/moe/weighted_sum.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "model/head.hpp"
#include "model/model.hpp"
#include "ops/moe/combine.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {
namespace {

class WeightedSum final : public Head {
 public:
  WeightedSum(ops::SumLoss loss, moe::GateValue value, index_t outputs)
      : Head(outputs), loss_(loss), value_(value) {}

  ops::GateMeasure measure() const override { return moe::measure_of(value_); }
  ops::NamedClass names() const override {
    return loss_ == ops::SumLoss::logistic ? ops::NamedClass::positive : ops::NamedClass::largest;
  }

  Scores forward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth) override {
    const index_t samples = output.routing.samples;
    const Scores scores = loss_ == ops::SumLoss::squared_error
                              ? allocate_value_scores(context.workspace(), samples, outputs())
                              : allocate_scores(context.workspace(), samples);
    d_sum_ = tensor::allocate_matrix(context.workspace(), samples, outputs());
    ops::weighted_sum_forward(context, batch(output, truth),
                              {scores.losses, scores.predicted, d_sum_, scores.values});
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& /*truth*/,
                float scale, const moe::SlotGradients& gradients) override {
    ops::combine_backward(context, {output.slot_rows(), output.routing.factors}, d_sum_,
                          {scale, measure(), gradients.slot_rows(), gradients.slots});
  }

 private:
  ops::WeightedSumBatch batch(const moe::LayerOutput& output, const nn::Batch& truth) const {
    return {.loss = loss_,
            .slots = output.routing.slots,
            .outputs = outputs(),
            .rows = output.slot_rows(),
            .weights = output.routing.factors,
            .labels = truth.labels.data(),
            .targets = truth.targets};
  }

  ops::SumLoss loss_;
  moe::GateValue value_;
  tensor::Matrix d_sum_;
};

std::unique_ptr<Head> make(ops::SumLoss loss, const ModelOptions& mixture, index_t outputs) {
  return std::make_unique<WeightedSum>(loss, mixture.moe.gate_value, outputs);
}

void expect_two_classes(Loss loss, const Task& task) {
  if (task.classes >= 2) return;
  throw ConfigError(fmt::format(
      "model.loss = {} with {} class (there is nothing to tell apart, and nothing to learn); give data with "
      "labels of two classes at least",
      kind_of(loss).name, task.classes));
}

}  // namespace

std::unique_ptr<Head> make_head(Of<Loss::cross_entropy>, const ModelOptions& mixture, const Task& task) {
  expect_two_classes(Loss::cross_entropy, task);
  return make(ops::SumLoss::cross_entropy, mixture, task.classes);
}

std::unique_ptr<Head> make_head(Of<Loss::logistic>, const ModelOptions& mixture, const Task& task) {
  expect_two_classes(Loss::logistic, task);
  if (task.classes != 2) {
    throw ConfigError(fmt::format(
        "model.loss = logistic with {} classes (it tells two apart); use cross_entropy", task.classes));
  }
  return make(ops::SumLoss::logistic, mixture, 1);
}

std::unique_ptr<Head> make_head(Of<Loss::double_softmax>, const ModelOptions& mixture, const Task& task) {
  expect_two_classes(Loss::double_softmax, task);
  return make(ops::SumLoss::double_softmax, mixture, task.classes);
}

std::unique_ptr<Head> make_head(Of<Loss::squared_error>, const ModelOptions& mixture, const Task& task) {
  return make(ops::SumLoss::squared_error, mixture, task.targets);
}

}  // namespace switchyard::model
