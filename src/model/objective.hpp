// How the experts' outputs become a prediction and a loss.
#pragma once

#include <cstdint>
#include <memory>

#include "base/span.hpp"
#include "model/options.hpp"
#include "moe/layer.hpp"

namespace switchyard::model {

// Of one rank's samples; memory of the step.
struct Scores {
  Span<float> losses;            // [N]
  Span<std::int32_t> predicted;  // [N]
};

// One of model.loss; V1, V2 and V7 are the reference's names (Krishnamurthy et al. 2023):
//   likelihood      -log sum_i w_i y_{i,t} of the experts' distributions y_i (V1; Jacobs et al. 1991)
//   stochastic      -log sum_i w_i y_{i,t}^(1/2); the expert with the largest weight answers (V2)
//   predicted_loss  -log y_{e,t} + sum_i |z_i - log y_{i,t}|, e the expert with the largest score z, which
//                   answers. The gate learns from the second term alone, the experts from the first (V7)
//   cross_entropy, logistic, double_softmax
//                   of F = sum_i w_i f_i (ops/moe/weighted_sum.hpp; Chen et al. 2022)
// Local; forward leaves what backward needs, in the step's memory.
class Objective {
 public:
  // Throws ConfigError if the loss does not fit the classes.
  static std::unique_ptr<Objective> make(const MixtureOptions& mixture, index_t classes);
  virtual ~Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  virtual moe::ExpertHead head() const { return moe::ExpertHead::log_softmax; }
  // What the gradient of a slot is by.
  virtual ops::GateMeasure measure() const { return ops::GateMeasure::weight; }
  // Of an expert.
  index_t outputs() const { return outputs_; }
  // The class that one expert's output row names.
  virtual std::int32_t class_of(const float* row) const;

  virtual Scores forward(device::Context& context, const moe::LayerOutput& output,
                         Span<const std::int32_t> labels) = 0;
  // -ln of the probability that the prediction gives the label, [N], after forward: the losses themselves, but
  // where training asks for something else (a weight that is no part of the prediction, a gate that learns
  // another way).
  virtual Span<const float> likelihood_losses(device::Context&, const moe::LayerOutput&,
                                              Span<const std::int32_t> /*labels*/, const Scores& scores) const {
    return scores.losses;
  }
  // `scale` is 1 / B of the global batch.
  virtual void backward(device::Context& context, const moe::LayerOutput& output,
                        Span<const std::int32_t> labels, float scale, const moe::SlotGradients& gradients) = 0;

 protected:
  explicit Objective(index_t outputs) : outputs_(outputs) {}

 private:
  index_t outputs_;
};

}  // namespace switchyard::model
