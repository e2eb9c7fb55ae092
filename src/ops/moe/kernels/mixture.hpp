// Kernels of ops/moe/mixture.hpp: one row is one sample.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "device/team.hpp"
#include "ops/kernels/math.hpp"
#include "ops/moe/mixture.hpp"

namespace switchyard::ops::kernels {

// The row of the slot that answers alone.
template <class Team>
SY_HD const float* answer(const Team& team, const float* log_w, const MixtureBatch& batch, index_t sample) {
  return batch.slot(sample, device::argmax(team, batch.slots, [&](index_t i) { return log_w[i]; }));
}

struct AnswerLosses {
  MixtureBatch batch;
  tensor::ConstMatrix log_weights;
  float* losses;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const y = answer(team, log_weights.row(row), batch, row);
    team.once([&] { losses[row] = -y[batch.labels[row]]; });
  }
};

struct MixtureForward {
  MixtureBatch batch;
  tensor::ConstMatrix log_weights;
  MixtureOutput output;

  // joint: [K, C], w_i y_{i,c}; then mixture: [C], which of one slot is its joint. Both are rounded up, so that
  // a vectorised pass over them has no remainder.
  static constexpr index_t pad = 16;
  SY_HD static index_t padded(index_t count) { return (count + pad - 1) / pad * pad; }
  SY_HD index_t joint_count() const { return padded(batch.slots * batch.classes); }
  index_t scratch_bytes() const { return (joint_count() + padded(batch.classes)) * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const log_w = log_weights.row(row);
    weigh_by_label(team, row, log_w);

    const index_t classes = batch.classes;
    if (batch.one_answers) return answer_of_one(team, row, log_w);
    float* const joint = team.template scratch<float>();
    for (index_t i = 0; i < batch.slots; ++i) {
      const float* const y = batch.slot(row, i);
      team.for_each(classes, [&](index_t c) { joint[i * classes + c] = log_w[i] + y[c]; });
    }
    fill_up(team, joint, batch.slots * classes);
    team.sync();
    team.for_each(joint_count(), [&](index_t i) { joint[i] = exp(joint[i]); });
    team.sync();
    const float* const mixture = batch.slots == 1 ? joint : add_slots(team, joint);
    if (output.probabilities.data != nullptr)
      team.for_each(classes, [&](index_t c) { output.probabilities(row, c) = mixture[c]; });
    const index_t best = device::argmax(team, padded(classes), [&](index_t c) { return mixture[c]; });
    team.once([&] { output.predicted[row] = static_cast<std::int32_t>(best); });
  }

 private:
  // NaN is no maximum.
  template <class Team>
  SY_HD static void fill_up(const Team& team, float* values, index_t count) {
    team.for_each(padded(count) - count, [=](index_t i) { values[count + i] = __builtin_nanf(""); });
  }

  template <class Team>
  SY_HD const float* add_slots(const Team& team, float* joint) const {
    const index_t classes = batch.classes;
    float* const mixture = joint + joint_count();
    team.for_each(classes, [&](index_t c) {
      float sum = 0;
      for (index_t i = 0; i < batch.slots; ++i) sum += joint[i * classes + c];
      mixture[c] = sum;
    });
    fill_up(team, mixture, classes);
    return mixture;
  }

  template <class Team>
  SY_HD void answer_of_one(const Team& team, index_t row, const float* log_w) const {
    const float* const y = answer(team, log_w, batch, row);
    const index_t best = device::argmax(team, batch.classes, [&](index_t c) { return y[c]; });
    team.once([&] { output.predicted[row] = static_cast<std::int32_t>(best); });
  }

  // With a_i = log w_i + power log y_{i,t}: loss = -logsumexp(a), h_i = e^(a_i + loss).
  template <class Team>
  SY_HD void weigh_by_label(const Team& team, index_t row, const float* log_w) const {
    const std::int32_t label = batch.labels[row];
    const auto a = [&](index_t i) { return log_w[i] + batch.power * batch.slot(row, i)[label]; };
    if (batch.slots == 1) return weigh_one_by_label(team, row, a(0));
    const float m = team.max(batch.slots, a);
    const float loss = -(m + log(team.sum(batch.slots, [&](index_t i) { return exp(a(i) - m); })));
    team.for_each(batch.slots, [&](index_t i) { output.posteriors(row, i) = exp(a(i) + loss); });
    if (batch.expert_temperature != 1.0F) weigh_for_experts(team, row, log_w);
    team.once([&] { output.losses[row] = loss; });
  }

  // The sum has one term, e^0.
  template <class Team>
  SY_HD void weigh_one_by_label(const Team& team, index_t row, float a) const {
    team.once([&] {
      const float zero = a - a;  // NaN where a is not finite
      output.losses[row] = zero - a;
      output.posteriors(row, 0) = 1.0F + zero;
      if (batch.expert_temperature != 1.0F) output.expert_posteriors(row, 0) = 1.0F + zero;
    });
  }

  // softmax(z / T)_i is w_i^(1/T) but for a factor that all slots share.
  template <class Team>
  SY_HD void weigh_for_experts(const Team& team, index_t row, const float* log_w) const {
    const std::int32_t label = batch.labels[row];
    const auto a = [&](index_t i) {
      return log_w[i] / batch.expert_temperature + batch.power * batch.slot(row, i)[label];
    };
    const float m = team.max(batch.slots, a);
    const float sum = team.sum(batch.slots, [&](index_t i) { return exp(a(i) - m); });
    team.for_each(batch.slots, [&](index_t i) { output.expert_posteriors(row, i) = exp(a(i) - m) / sum; });
  }
};

struct AddPredictionErrors {
  MixtureBatch batch;
  tensor::ConstMatrix scores;
  float* losses;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const z = scores.row(row);
    const std::int32_t label = batch.labels[row];
    const float sum = team.sum(batch.slots, [&](index_t i) {
      const float error = z[i] - batch.slot(row, i)[label];
      return error < 0.0F ? -error : error;
    });
    team.once([&] { losses[row] += sum; });
  }
};

struct PredictionErrorBackward {
  MixtureBatch batch;
  tensor::ConstMatrix scores;
  float scale;
  tensor::Matrix d_scores;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const z = scores.row(row);
    const std::int32_t label = batch.labels[row];
    float* const d_z = d_scores.row(row);
    team.for_each(batch.slots, [&](index_t i) {
      const float error = z[i] - batch.slot(row, i)[label];
      d_z[i] = error > 0.0F ? scale : error < 0.0F ? -scale : 0.0F;
    });
  }
};

struct MixtureBackward {
  MixtureBatch batch;
  Posteriors posteriors;
  float scale;
  MixtureGradient gradient;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const std::int32_t label = batch.labels[row];
    for (index_t i = 0; i < batch.slots; ++i) {
      const float d_weight = -scale * posteriors.of_weights(row, i);
      if (gradient.d_log_probs.cols > 0) {
        float* const d_y = gradient.d_log_probs.row(row * batch.slots + i);
        const float d_label = batch.power * (-scale * posteriors.of_experts(row, i));
        team.for_each(batch.classes, [&](index_t c) { d_y[c] = c == label ? d_label : 0.0F; });
      }
      team.once([&] { gradient.d_log_weights(row, i) = d_weight; });
    }
  }
};

}  // namespace switchyard::ops::kernels
