// The likelihood of the experts' mixture, and that of competing experts.
#include "model/heads/distributions.hpp"
#include "model/model.hpp"

namespace switchyard::model {
namespace {

class Likelihood final : public Head {
 public:
  Likelihood(index_t classes, bool competing, double expert_temperature)
      : Head(classes), competing_(competing), expert_temperature_(static_cast<float>(expert_temperature)) {}

  Scores forward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth) override {
    const moe::Routing& routing = output.routing;
    device::Workspace& workspace = context.workspace();
    const Scores scores = allocate_scores(workspace, routing.samples);
    const tensor::Matrix posteriors = allocate_slots(workspace, routing);
    const tensor::Matrix of_experts =
        expert_temperature_ == 1.0F ? posteriors : allocate_slots(workspace, routing);
    ops::mixture_forward(context, batch(output, truth), routing.log_weights,
                         {.losses = scores.losses,
                          .posteriors = posteriors,
                          .predicted = scores.predicted,
                          .expert_posteriors = of_experts});
    posteriors_ = {posteriors, of_experts};
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth, float scale,
                const moe::SlotGradients& gradients) override {
    ops::mixture_backward(context, batch(output, truth), posteriors_, scale,
                          {gradients.slot_rows(), gradients.slots});
  }

  // One slot's weight is a probability under all experts, so that the gate learns; the slot answers alone.
  Span<const float> likelihood_losses(device::Context& context, const moe::LayerOutput& output,
                                      const nn::Batch& truth, const Scores& scores) const override {
    const bool one_answers = competing_ || output.routing.slots == 1;
    return one_answers ? answer_losses(context, batch(output, truth), output.routing) : scores.losses;
  }

 private:
  ops::MixtureBatch batch(const moe::LayerOutput& output, const nn::Batch& truth) const {
    ops::MixtureBatch batch = mixture_batch(output, truth, outputs());
    batch.power = competing_ ? 0.5F : 1.0F;
    batch.expert_temperature = expert_temperature_;
    batch.one_answers = competing_;
    return batch;
  }

  bool competing_;  // the stochastic loss
  float expert_temperature_;
  ops::Posteriors posteriors_;
};

}  // namespace

std::unique_ptr<Head> make_head(Of<Loss::likelihood>, const ModelOptions& mixture, const Task& task) {
  return std::make_unique<Likelihood>(task.classes, false, mixture.moe.expert_temperature);
}

std::unique_ptr<Head> make_head(Of<Loss::stochastic>, const ModelOptions& mixture, const Task& task) {
  return std::make_unique<Likelihood>(task.classes, true, mixture.moe.expert_temperature);
}

}  // namespace switchyard::model
