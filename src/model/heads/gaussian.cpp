// The likelihood of a mixture of Gaussians, each about an expert's output.
#include "ops/moe/gaussian.hpp"

#include "model/heads/distributions.hpp"
#include "model/model.hpp"
#include "ops/moe/slots.hpp"

namespace switchyard::model {
namespace {

class Gaussian final : public Head {
 public:
  Gaussian(index_t targets, double deviation) : Head(targets), deviation_(static_cast<float>(deviation)) {}

  Scores forward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth) override {
    const moe::Routing& routing = output.routing;
    device::Workspace& workspace = context.workspace();
    const Scores scores = allocate_value_scores(workspace, routing.samples, outputs());
    posteriors_ = allocate_slots(workspace, routing);
    ops::gaussian_forward(context, batch(output, truth), {scores.losses, posteriors_, scores.values});
    return scores;
  }

  void backward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& truth, float scale,
                const moe::SlotGradients& gradients) override {
    ops::gaussian_backward(context, batch(output, truth), posteriors_, scale,
                           {gradients.slot_rows(), gradients.slots});
  }

  // One slot's weight is a probability under all experts, so that the gate learns; the slot answers alone.
  Span<const float> likelihood_losses(device::Context& context, const moe::LayerOutput& output,
                                      const nn::Batch& /*truth*/, const Scores& scores) const override {
    const moe::Routing& routing = output.routing;
    if (routing.slots > 1) return scores.losses;
    const Span<float> losses = context.workspace().allocate<float>(routing.samples);
    ops::add_log_weights(context, scores.losses, routing.log_weights, losses);
    return losses;
  }

 private:
  ops::GaussianBatch batch(const moe::LayerOutput& output, const nn::Batch& truth) const {
    return {.slots = output.routing.slots,
            .rows = output.slot_rows(),
            .log_weights = output.routing.log_weights,
            .targets = truth.targets,
            .deviation = deviation_};
  }

  float deviation_;
  tensor::Matrix posteriors_;
};

}  // namespace

std::unique_ptr<Head> make_head(Of<Loss::gaussian>, const ModelOptions& mixture, const Task& task) {
  return std::make_unique<Gaussian>(task.targets, mixture.networks.deviation);
}

}  // namespace switchyard::model
