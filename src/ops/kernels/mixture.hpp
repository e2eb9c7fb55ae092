// Kernels of ops/mixture.hpp: one row is one sample.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/kernels/argmax.hpp"
#include "ops/kernels/math.hpp"
#include "ops/mixture.hpp"

namespace switchyard::ops::kernels {

// w_s = e^(z_s - m) / sum_j e^(z_j - m), where j runs over the sample's slots, or over all experts if there is
// one slot.
struct GateWeights {
  tensor::ConstMatrix logits;
  const std::int32_t* experts;
  index_t slots;
  tensor::Matrix weights;
  tensor::Matrix log_weights;

  index_t scratch_bytes() const { return 0; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const z = logits.row(row);
    const std::int32_t* const expert = experts + row * slots;
    if (slots == 1) {
      normalise(team, row, logits.cols, [&](index_t i) { return z[i]; });
    } else {
      normalise(team, row, slots, [&](index_t i) { return z[expert[i]]; });
    }
  }

 private:
  template <class Team, class Candidate>
  SY_HD void normalise(const Team& team, index_t row, index_t candidates, const Candidate& candidate) const {
    const float* const z = logits.row(row);
    const std::int32_t* const expert = experts + row * slots;
    const float m = team.max(candidates, candidate);
    const float log_sum = log(team.sum(candidates, [&](index_t i) { return exp(candidate(i) - m); }));
    team.for_each(slots, [&](index_t i) {
      const float log_weight = (z[expert[i]] - m) - log_sum;
      log_weights(row, i) = log_weight;
      weights(row, i) = exp(log_weight);
    });
  }
};

struct MixtureForward {
  MixtureBatch batch;
  tensor::ConstMatrix log_weights;
  MixtureOutput output;

  // joint: [K, C], w_i y_{i,c}, rounded up so that a vectorised pass over it has no remainder; then mixture:
  // [C].
  static constexpr index_t pad = 16;
  SY_HD index_t joint_count() const { return (batch.slots * batch.classes + pad - 1) / pad * pad; }
  index_t scratch_bytes() const {
    return (joint_count() + batch.classes) * static_cast<index_t>(sizeof(float));
  }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const log_w = log_weights.row(row);
    const float* const* const log_y = batch.log_probs + row * batch.slots;
    weigh_by_label(team, row, log_w, log_y);

    const index_t classes = batch.classes;
    float* const joint = team.template scratch<float>();
    float* const mixture = joint + joint_count();
    for (index_t i = 0; i < batch.slots; ++i) {
      const float* const y = log_y[i];
      team.for_each(classes, [&](index_t c) { joint[i * classes + c] = log_w[i] + y[c]; });
    }
    team.for_each(joint_count() - batch.slots * classes,
                  [&](index_t i) { joint[batch.slots * classes + i] = 0.0F; });
    team.sync();
    team.for_each(joint_count(), [&](index_t i) { joint[i] = exp(joint[i]); });
    team.sync();
    team.for_each(classes, [&](index_t c) {
      float sum = 0;
      for (index_t i = 0; i < batch.slots; ++i) sum += joint[i * classes + c];
      mixture[c] = sum;
      if (output.probabilities.data != nullptr) output.probabilities(row, c) = sum;
    });
    const index_t best = argmax(team, classes, [&](index_t c) { return mixture[c]; });
    team.once([&] { output.predicted[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(best); });
  }

 private:
  // With a_i = log w_i + log y_{i,t}: loss = -logsumexp(a), h_i = e^(a_i + loss).
  template <class Team>
  SY_HD void weigh_by_label(const Team& team, index_t row, const float* log_w,
                            const float* const* log_y) const {
    const std::int32_t label = batch.labels[row];
    const auto a = [&](index_t i) { return log_w[i] + log_y[i][label]; };
    const float m = team.max(batch.slots, a);
    const float loss = -(m + log(team.sum(batch.slots, [&](index_t i) { return exp(a(i) - m); })));
    team.for_each(batch.slots, [&](index_t i) { output.posteriors(row, i) = exp(a(i) + loss); });
    team.once([&] { output.losses[static_cast<std::size_t>(row)] = loss; });
  }
};

struct MixtureBackward {
  MixtureBatch batch;
  tensor::ConstMatrix weights;
  tensor::ConstMatrix posteriors;
  float scale;
  const double* importance_gradient;  // [E], or null
  MixtureGradient gradient;

  index_t scratch_bytes() const { return 0; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const std::int32_t label = batch.labels[row];
    for (index_t i = 0; i < batch.slots; ++i) {
      float* const d_y = gradient.d_log_probs[row * batch.slots + i];
      const float d_label = -scale * posteriors(row, i);
      team.for_each(batch.classes, [&](index_t c) { d_y[c] = c == label ? d_label : 0.0F; });
    }
    if (batch.slots == 1) {
      through_full_softmax(team, row);
    } else {
      through_slot_softmax(team, row);
    }
  }

 private:
  SY_HD double importance(std::int32_t expert) const {
    return importance_gradient == nullptr ? 0.0 : importance_gradient[expert];
  }

  template <class Team>
  SY_HD void through_slot_softmax(const Team& team, index_t row) const {
    const std::int32_t* const expert = batch.experts + row * batch.slots;
    const float* const w = weights.row(row);
    const float* const h = posteriors.row(row);
    float* const d_z = gradient.d_logits.row(row);
    double mean = 0;  // sum_j w_j g_j
    if (importance_gradient != nullptr) {
      mean =
          team.sum(batch.slots, [&](index_t i) { return static_cast<double>(w[i]) * importance(expert[i]); });
    }
    team.for_each(gradient.d_logits.cols, [&](index_t e) { d_z[e] = 0.0F; });
    team.sync();
    team.for_each(batch.slots, [&](index_t i) {
      const double regulariser = static_cast<double>(w[i]) * (importance(expert[i]) - mean);
      d_z[expert[i]] = scale * (w[i] - h[i]) + static_cast<float>(regulariser);
    });
  }

  template <class Team>
  SY_HD void through_full_softmax(const Team& team, index_t row) const {
    const float* const z = batch.gate_logits.row(row);
    float* const d_z = gradient.d_logits.row(row);
    const std::int32_t expert = batch.experts[row];
    const index_t n = gradient.d_logits.cols;
    const double w = static_cast<double>(weights(row, 0));
    const float factor = static_cast<float>(static_cast<double>(scale) - importance(expert) * w);
    const float m = team.max(n, [&](index_t e) { return z[e]; });
    const float sum = team.sum(n, [&](index_t e) { return exp(z[e] - m); });
    team.for_each(n, [&](index_t e) { d_z[e] = factor * (exp(z[e] - m) / sum - (e == expert ? 1.0F : 0.0F)); });
  }
};

// The logarithm is float32 (within one unit in the last place); products and sum are float64.
struct EntropyOfRow {
  tensor::ConstMatrix weights;
  double* entropies;

  index_t scratch_bytes() const { return 0; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    constexpr double log2_e = 1.4426950408889634;
    const float* const w = weights.row(row);
    const double sum = team.sum(weights.cols, [&](index_t i) {
      const float log_w = w[i] > 0.0F ? log(w[i]) : 0.0F;
      return static_cast<double>(w[i]) * static_cast<double>(log_w);
    });
    team.once([&] { entropies[row] = -log2_e * sum; });
  }
};

}  // namespace switchyard::ops::kernels
