// A gate that predicts the experts' losses.
#include "model/heads/distributions.hpp"
#include "model/model.hpp"

namespace switchyard::model {
namespace {

class PredictedLoss final : public Head {
 public:
  explicit PredictedLoss(index_t classes) : Head(classes) {}

  ops::GateMeasure measure() const override { return ops::GateMeasure::score; }

  Scores forward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth) override {
    device::Workspace& workspace = context.workspace();
    const moe::Routing& routing = output.routing;
    const Scores scores = allocate_scores(workspace, routing.samples);
    const tensor::Matrix answering = allocate_slots(workspace, routing);
    ops::choose_one(context, routing.log_weights, answering);  // as statistics count
    posteriors_ = allocate_slots(workspace, routing);
    ops::mixture_forward(context, batch(output, truth), answering,
                         {.losses = scores.losses, .posteriors = posteriors_, .predicted = scores.predicted});
    ops::add_prediction_errors(context, batch(output, truth), routing.scores, scores.losses);
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth, float scale,
                const moe::SlotGradients& gradients) override {
    ops::mixture_backward(context, batch(output, truth), {posteriors_, posteriors_}, scale,
                          {gradients.slot_rows(), gradients.slots});
    ops::prediction_error_backward(context, batch(output, truth), output.routing.scores, scale,
                                   gradients.slots);
  }

  Span<const float> likelihood_losses(device::Context& context, const moe::LayerOutput& output,
                                      const nn::Batch& truth, const Scores& /*scores*/) const override {
    return answer_losses(context, batch(output, truth), output.routing);
  }

 private:
  ops::MixtureBatch batch(const moe::LayerOutput& output, const nn::Batch& truth) const {
    ops::MixtureBatch batch = mixture_batch(output, truth, outputs());
    batch.one_answers = true;
    return batch;
  }

  tensor::Matrix posteriors_;
};

}  // namespace

std::unique_ptr<Head> make_head(Of<Loss::predicted_loss>, const ModelOptions& /*mixture*/, const Task& task) {
  return std::make_unique<PredictedLoss>(task.classes);
}

}  // namespace switchyard::model
