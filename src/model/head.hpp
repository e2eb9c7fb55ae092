// How the experts' outputs become a prediction and a loss.
#pragma once

#include <cstdint>
#include <memory>

#include "base/span.hpp"
#include "model/options.hpp"
#include "moe/layer.hpp"
#include "ops/moe/counts.hpp"

namespace switchyard::model {

struct Task;

// Of one rank's samples; memory of the step.
struct Scores {
  Span<float> losses;                 // [N]
  Span<std::int32_t> predicted = {};  // [N], where labels are classes
  tensor::Matrix values = {};         // [N, T], where they are real numbers
};
Scores allocate_scores(device::Workspace& workspace, index_t samples);
Scores allocate_value_scores(device::Workspace& workspace, index_t samples, index_t targets);

// One of model.loss; model/heads/table.hpp has the formulas. Local; forward leaves what backward needs, in the
// step's memory.
class Head {
 public:
  virtual ~Head() = default;
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  // What the gradient of a slot is by.
  virtual ops::GateMeasure measure() const { return ops::GateMeasure::weight; }
  // Of an expert.
  index_t outputs() const { return outputs_; }
  // The class that one expert's output row names.
  virtual ops::NamedClass names() const { return ops::NamedClass::largest; }

  // What is true of the samples are the batch's labels, or its targets.
  virtual Scores forward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& batch) = 0;
  // -ln of the probability that the prediction gives the label, [N], after forward: the losses themselves, but
  // where training asks for something else (a weight that is no part of the prediction, a gate that learns
  // another way).
  virtual Span<const float> likelihood_losses(device::Context&, const moe::LayerOutput&, const nn::Batch&,
                                              const Scores& scores) const {
    return scores.losses;
  }
  // `scale` is 1 / B of the global batch.
  virtual void backward(device::Context& context, const moe::LayerOutput& output, const nn::Batch& batch,
                        float scale, const moe::SlotGradients& gradients) = 0;

 protected:
  explicit Head(index_t outputs) : outputs_(outputs) {}

 private:
  index_t outputs_;
};

// That of model.loss. Throws ConfigError if the loss does not fit the task's labels.
std::unique_ptr<Head> make_head(const ModelOptions& mixture, const Task& task);

}  // namespace switchyard::model
