// Optimiser updates, elementwise. Gradients are multiplied by `gradient_scale` (clipping) first. The result
// says whether all that was updated is finite: looked at while it is in cache.
#pragma once

#include "device/context.hpp"

#include "base/span.hpp"

namespace switchyard::ops {

// What weight decay is added to: the gradient (L2), or the step, which its size then does not depend on
// (Loshchilov and Hutter 2019).
enum class Decay { l2, decoupled };

// Adam (Kingma and Ba 2015), with L2 weight decay added to the gradient as in the reference experiments:
// g = scale * gradient + decay * w; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
// w -= rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon),
// evaluated as (rate / (1 - b1^t)) * m / (sqrt(v) * (1 / sqrt(1 - b2^t)) + epsilon), and b m as m - (1 - b) m:
// the nearest float32 to 0.999 is 1.3e-5 of 1 - b away from it, that to 1 - b is 6e-8.
// AdamW, decoupled: g = scale * gradient; what is taken from w is that and rate * decay * w.
struct AdamStep {
  double learning_rate;
  float one_minus_beta1;  // from float64
  float one_minus_beta2;
  float epsilon;
  float weight_decay;
  float gradient_scale;
  double bias_correction1;  // 1 - b1^t
  double bias_correction2;  // 1 - b2^t
  Decay decay = Decay::l2;
};
struct AdamMoments {
  Span<float> first;
  Span<float> second;
};
bool adam_update(device::Context&, const AdamStep&, Span<float> w, Span<const float> gradient,
                 AdamMoments moments);

// g = scale * gradient + decay * w; u = momentum * u + g; w -= rate * u.
struct SgdStep {
  float learning_rate;
  float momentum;
  float weight_decay;
  float gradient_scale;
};
// velocity may be empty if momentum is 0.
bool sgd_update(device::Context&, const SgdStep&, Span<float> w, Span<const float> gradient,
                Span<float> velocity);

}  // namespace switchyard::ops
