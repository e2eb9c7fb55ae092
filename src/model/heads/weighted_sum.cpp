// Losses of the gate-weighted sum of the experts' outputs.
#include "ops/moe/weighted_sum.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "model/head.hpp"
#include "ops/moe/combine.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {
namespace {

class WeightedSum final : public Head {
 public:
  WeightedSum(ops::SumLoss loss, moe::GateValue value, index_t classes)
      : Head(loss == ops::SumLoss::logistic ? 1 : classes), loss_(loss), value_(value) {}

  ops::GateMeasure measure() const override { return moe::measure_of(value_); }
  std::int32_t class_of(const float* row) const override {
    return loss_ == ops::SumLoss::logistic ? (row[0] > 0.0F ? 1 : 0) : Head::class_of(row);
  }

  Scores forward(device::Context& context, const moe::LayerOutput& output,
                 Span<const std::int32_t> labels) override {
    const index_t samples = output.routing.samples;
    const Scores scores = allocate_scores(context.workspace(), samples);
    d_sum_ = tensor::allocate_matrix(context.workspace(), samples, outputs());
    ops::weighted_sum_forward(context, batch(output, labels), {scores.losses, scores.predicted, d_sum_});
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, Span<const std::int32_t> /*labels*/,
                float scale, const moe::SlotGradients& gradients) override {
    ops::combine_backward(context, {output.slot_rows(), output.routing.factors}, d_sum_,
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

std::unique_ptr<Head> make_head(Of<Loss::cross_entropy>, const ModelOptions& mixture, index_t classes) {
  return std::make_unique<WeightedSum>(ops::SumLoss::cross_entropy, mixture.moe.gate_value, classes);
}

std::unique_ptr<Head> make_head(Of<Loss::logistic>, const ModelOptions& mixture, index_t classes) {
  if (classes != 2) {
    throw ConfigError(
        fmt::format("model.loss = logistic with {} classes (it tells two apart); use cross_entropy", classes));
  }
  return std::make_unique<WeightedSum>(ops::SumLoss::logistic, mixture.moe.gate_value, classes);
}

std::unique_ptr<Head> make_head(Of<Loss::double_softmax>, const ModelOptions& mixture, index_t classes) {
  return std::make_unique<WeightedSum>(ops::SumLoss::double_softmax, mixture.moe.gate_value, classes);
}

}  // namespace switchyard::model
