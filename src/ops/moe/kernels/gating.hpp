// Kernels of ops/moe/gating.hpp: one row is one sample.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/philox.hpp"
#include "ops/kernels/columns.hpp"
#include "ops/kernels/math.hpp"
#include "ops/moe/gating.hpp"

namespace switchyard::ops::kernels {

struct AddNoise {
  tensor::ConstMatrix logits;
  const index_t* ids;
  Noise noise;
  tensor::Matrix noisy;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const auto id = static_cast<std::uint64_t>(ids[row]) | static_cast<std::uint64_t>(noise.key.stream) << 62U;
    const float* const z = logits.row(row);
    float* const out = noisy.row(row);
    // Four numbers to a block.
    team.for_each((logits.cols + 3) / 4, [&](index_t block) {
      const Philox r = Philox::at(noise.key.seed, RandomUse::gate_noise,
                                  id | static_cast<std::uint64_t>(block) << 40U, noise.key.step);
      const index_t first = 4 * block;
      const index_t count = logits.cols - first < 4 ? logits.cols - first : 4;
      for (index_t i = 0; i < count; ++i) {
        const int lane = static_cast<int>(i);
        const float drawn = noise.spread == NoiseSpread::uniform ? r.uniform(lane) : normal_of(r.word[lane]);
        out[first + i] = z[first + i] + noise.scale * drawn;
      }
    });
  }
};

// With e = e^-|x|, which never overflows: log(1 / (1 + e^-x)) = min(x, 0) - log(1 + e).
struct LogSigmoid {
  tensor::ConstMatrix x;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    float* const out = y.row(row);
    team.for_each(x.cols, [=](index_t i) {
      const float value = in[i];
      const float tail = log_of_one_plus(exp(value < 0.0F ? value : -value));
      out[i] = (value < 0.0F ? value : 0.0F) - tail;
    });
  }
};

struct LogSigmoidBackward {
  tensor::ConstMatrix x;
  tensor::Matrix d;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    float* const out = d.row(row);
    team.for_each(x.cols, [=](index_t i) {
      const float value = in[i];
      const float e = exp(value < 0.0F ? value : -value);
      out[i] *= (value < 0.0F ? 1.0F : e) / (1.0F + e);
    });
  }
};

struct Scale {
  tensor::ConstMatrix x;
  float factor;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    team.for_each(x.cols, [&](index_t i) { y(row, i) = factor * x(row, i); });
  }
};

struct SharesOfRow {
  tensor::ConstMatrix x;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float sum = team.sum(x.cols, [&](index_t i) { return x(row, i); });
    team.for_each(x.cols, [&](index_t i) { y(row, i) = sum != 0.0F ? x(row, i) / sum : 0.0F; });
  }
};

// One slot: w = e^(z_e - m) / sum_j e^(z_j - m) over all experts, added in their order, and the entropy of that
// softmax. "Row" is a block of samples.
struct GateWeightsOfOne {
  tensor::ConstMatrix logits;
  const std::int32_t* experts;
  tensor::Matrix weights;
  tensor::Matrix log_weights;
  double* entropies;  // [N], or null
  bool by_largest;    // the chosen logit is the largest

  // Per sample: the largest logit, the sum, and the sum of e^(z_j - m) (m - z_j).
  index_t scratch_bytes() const { return (3 * rows_per_block + column_scratch) * size_of<float>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t index) const {
    const tensor::ConstMatrix block = block_of_rows(logits, index);
    const index_t n = block.rows;
    float* const largest = team.template scratch<float>();
    float* const sum = largest + rows_per_block;
    float* const gaps = sum + rows_per_block;
    float* const scratch = gaps + rows_per_block;
    const index_t first = index * rows_per_block;
    const std::int32_t* const expert = experts + first;
    // A sample stays with one thread: no sync is needed.
    const bool is_largest = by_largest;
    team.for_each(n, [=](index_t r) {
      largest[r] = block(r, is_largest ? expert[r] : 0);
      sum[r] = gaps[r] = 0.0F;
    });
    if (!is_largest) {
      for_each_column(team, block, scratch,
                      [=](index_t r, index_t, float z) { largest[r] = device::larger(largest[r], z); });
    }
    for_each_column(team, block, scratch, [=](index_t r, index_t, float z) {
      const float gap = z - largest[r];
      const float share = exp(gap);
      sum[r] += share;
      gaps[r] -= share * gap;
    });
    float* const log_w = log_weights.row(first);
    float* const w = weights.row(first);
    const index_t log_stride = log_weights.stride;
    const index_t w_stride = weights.stride;
    team.for_each(n, [=](index_t r) {
      const float log_sum = log(sum[r]);
      const float value = (block(r, expert[r]) - largest[r]) - log_sum;
      log_w[r * log_stride] = value;
      w[r * w_stride] = exp(value);
      gaps[r] = log_sum + gaps[r] / sum[r];
    });
    if (entropies == nullptr) return;
    constexpr double log2_e = 1.4426950408889634;
    double* const entropy = entropies + first;
    team.for_each(n, [=](index_t r) { entropy[r] = log2_e * gaps[r]; });
  }
};

// w_s = e^(z_s - m) / sum_j e^(z_j - m), where j runs over the sample's slots, or over all experts; or e^z_s.
struct GateWeights {
  tensor::ConstMatrix logits;
  const std::int32_t* experts;
  index_t slots;
  WeightSum sum;
  tensor::Matrix weights;
  tensor::Matrix log_weights;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const z = logits.row(row);
    const std::int32_t* const expert = experts + row * slots;
    float m = 0.0F;
    float log_sum = 0.0F;
    if (sum == WeightSum::slots) {
      m = team.max(slots, [&](index_t i) { return z[expert[i]]; });
      log_sum = log(team.sum(slots, [&](index_t i) { return exp(z[expert[i]] - m); }));
    } else if (sum == WeightSum::experts) {
      m = team.max(logits.cols, [=](index_t e) { return z[e]; });
      log_sum = log(team.sum(logits.cols, [=](index_t e) { return exp(z[e] - m); }));
    }
    team.for_each(slots, [&](index_t i) {
      const float log_weight = (z[expert[i]] - m) - log_sum;
      log_weights(row, i) = log_weight;
      weights(row, i) = exp(log_weight);
    });
  }
};

struct ChooseOne {
  tensor::ConstMatrix values;
  tensor::Matrix log_weights;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const v = values.row(row);
    const index_t best = device::argmax(team, values.cols, [&](index_t i) { return v[i]; });
    float* const out = log_weights.row(row);
    team.for_each(values.cols, [&](index_t i) { out[i] = i == best ? 0.0F : -__builtin_inff(); });
  }
};

struct Certainties {
  tensor::RowSource log_probs;
  tensor::Matrix values;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    constexpr float bits = 1.44269504F;  // log2 e
    for (index_t i = 0; i < values.cols; ++i) {
      const float* const y = log_probs.row(row * values.cols + i);
      // 0 log 0 = 0: exp gives 0 below -87.
      const float sum = team.sum(log_probs.cols, [&](index_t c) {
        const float p = exp(y[c]);
        return p != 0.0F ? p * y[c] : 0.0F;  // a NaN stays one, and is never the largest
      });
      team.once([&] { values(row, i) = bits * sum; });
    }
  }
};

struct GatherScores {
  tensor::ConstMatrix scores;
  const std::int32_t* experts;
  tensor::Matrix values;

  SY_HD void operator()(index_t i) const { values.data[i] = scores(i / values.cols, experts[i]); }
};

// L = log sum_e e^z_e and H = -sum_e p_e log p_e of a row of scores, the same on every thread. From d_e = z_e -
// m, m the largest: in a decided gate 1 + the others' sum, and log p_e as z_e - L, lose the digits of the
// others.
struct ScoreStatistics {
  float largest;   // m
  float log_sum;   // L - m
  float mean_gap;  // -sum_e p_e d_e, so that log p_e + H = d_e + mean_gap

  template <class Team>
  SY_HD ScoreStatistics(const Team& team, const float* z, index_t n) {
    const float m = team.max(n, [&](index_t e) { return z[e]; });
    const float below = team.sum(n, [&](index_t e) { return z[e] < m ? exp(z[e] - m) : 0.0F; });
    const float ties = team.sum(n, [&](index_t e) { return z[e] < m ? 0.0F : 1.0F; });
    const float gaps = team.sum(n, [&](index_t e) { return exp(z[e] - m) * (m - z[e]); });
    const float others = below + (ties - 1.0F);
    largest = m;
    log_sum = log_of_one_plus(others);
    mean_gap = gaps / (1.0F + others);
  }

  SY_HD float log_of_sum() const { return largest + log_sum; }
  SY_HD float entropy() const { return log_sum + mean_gap; }  // neither is negative
};

struct ScoreStatisticsOfRow {
  tensor::ConstMatrix scores;
  double* squared_log_sums;  // or null
  double* entropies;
  double unit;  // of entropies

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const ScoreStatistics of(team, scores.row(row), scores.cols);
    team.once([&] {
      const auto log_sum = static_cast<double>(of.log_of_sum());
      if (squared_log_sums != nullptr) squared_log_sums[row] = log_sum * log_sum;
      entropies[row] = unit * static_cast<double>(of.entropy());
    });
  }
};

struct GateBackward {
  GateGradient g;
  const double* importance;   // [E], or null
  const double* probability;  // [E], or null
  tensor::Matrix d_scores;

  // l: [K]
  index_t scratch_bytes() const { return g.weights.cols * size_of<float>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t slots = g.weights.cols;
    const index_t n = d_scores.cols;
    const std::int32_t* const expert = g.experts + row * slots;
    const float* const w = g.weights.row(row);
    const float* const d = g.d_slots.row(row);
    float* const d_z = d_scores.row(row);
    float* const l = team.template scratch<float>();
    const bool by_weight = g.measure == GateMeasure::weight;
    team.for_each(slots, [&](index_t i) {
      const double regulariser = importance != nullptr ? w[i] * importance[expert[i]] : 0.0;
      l[i] = (by_weight ? d[i] : 0.0F) + static_cast<float>(regulariser);
    });
    const bool through_all = g.sum == WeightSum::experts && (by_weight || importance != nullptr);
    if (!through_all) team.for_each(n, [&](index_t e) { d_z[e] = 0.0F; });
    team.sync();
    if (through_all && slots == 1) through_full_softmax(team, row, expert[0], l[0]);
    if (through_all && slots > 1) through_full_softmax_of_slots(team, row, l);
    if (g.sum == WeightSum::slots && slots > 1) through_softmax_of_slots(team, row, l);
    if (g.sum == WeightSum::one) team.for_each(slots, [&](index_t i) { d_z[expert[i]] = l[i]; });
    team.sync();
    if (!by_weight) {
      team.for_each(slots, [&](index_t i) { d_z[expert[i]] += d[i]; });
      team.sync();
    }
    if (probability != nullptr || g.sample_probability.data != nullptr) add_probability(team, row);
    if (g.z_loss != 0.0F || g.entropy != 0.0F) {
      team.sync();
      add_own(team, row);
    }
  }

 private:
  // d z_i = l_i - w_i sum_j l_j. The gradients add up to zero, and the largest weight's is taken from that:
  // where it is nearly 1, l_i - w_i sum_j l_j would cancel.
  template <class Team>
  SY_HD void through_softmax_of_slots(const Team& team, index_t row, const float* l) const {
    const index_t slots = g.weights.cols;
    const std::int32_t* const expert = g.experts + row * slots;
    const float* const w = g.weights.row(row);
    float* const d_z = d_scores.row(row);
    const float sum = team.sum(slots, [&](index_t i) { return l[i]; });
    const index_t top = device::argmax(team, slots, [&](index_t i) { return w[i]; });
    const auto of_slot = [&](index_t i) { return l[i] - w[i] * sum; };
    const float others = team.sum(slots, [&](index_t i) { return i == top ? 0.0F : of_slot(i); });
    team.for_each(slots, [&](index_t i) { d_z[expert[i]] = i == top ? -others : of_slot(i); });
  }

  // d z_j = -l p_j, and l times the sum of the others' p for the chosen expert, since 1 - p_e would cancel in a
  // decided gate. log p_j = (z_j - z_e) + log p_e: rounded in units of the scores' difference, not of the
  // scores.
  template <class Team>
  SY_HD void through_full_softmax(const Team& team, index_t row, std::int32_t expert, float l) const {
    const float* const z = g.scores.row(row);
    float* const d_z = d_scores.row(row);
    const index_t n = d_scores.cols;
    const float log_p = g.log_weights(row, 0);
    const float chosen = z[expert];
    team.for_each(n, [=](index_t e) { d_z[e] = e == expert ? 0.0F : -l * exp((z[e] - chosen) + log_p); });
    team.sync();
    const float others = team.sum(n, [&](index_t e) { return d_z[e]; });
    team.once([&] { d_z[expert] = -others; });
  }

  // d z_j = l_j - p_j sum_i l_i, but for the likeliest expert, which gets the others' sum: its own difference
  // would cancel.
  template <class Team>
  SY_HD void through_full_softmax_of_slots(const Team& team, index_t row, const float* l) const {
    const index_t slots = g.weights.cols;
    const std::int32_t* const expert = g.experts + row * slots;
    const float* const w = g.weights.row(row);
    const float* const z = g.scores.row(row);
    float* const d_z = d_scores.row(row);
    const index_t n = d_scores.cols;
    const float sum = team.sum(slots, [&](index_t i) { return l[i]; });
    const index_t top = device::argmax(team, slots, [&](index_t i) { return w[i]; });
    const float log_p = g.log_weights(row, top);
    const float of_top = z[expert[top]];
    team.for_each(n, [=](index_t e) { d_z[e] = -sum * exp((z[e] - of_top) + log_p); });
    team.sync();
    team.for_each(slots, [&](index_t i) { d_z[expert[i]] += l[i]; });
    team.sync();
    const index_t likeliest = device::argmax(team, n, [=](index_t e) { return z[e]; });
    const float others = team.sum(n, [=](index_t e) { return e == likeliest ? 0.0F : d_z[e]; });
    team.once([&] { d_z[likeliest] = -others; });
  }

  // The regularisers of the sample's own scores.
  template <class Team>
  SY_HD void add_own(const Team& team, index_t row) const {
    const float* const z = g.scores.row(row);
    float* const d_z = d_scores.row(row);
    const ScoreStatistics of(team, z, d_scores.cols);
    const float along = 2.0F * g.z_loss * of.log_of_sum();
    const float weight = g.entropy;
    team.for_each(d_scores.cols, [=](index_t e) {
      const float d = z[e] - of.largest;
      d_z[e] += exp(d - of.log_sum) * (along - weight * (d + of.mean_gap));
    });
  }

  // The regularisers of probabilities. Which there are is asked once, not for each expert, so that the loops
  // over experts vectorise.
  template <class Team>
  SY_HD void add_probability(const Team& team, index_t row) const {
    const double* const all = probability;
    if (g.sample_probability.data == nullptr) {
      add_probability(team, row, [=](index_t e) { return all[e] + 0.0; });
      return;
    }
    const double scale = *g.sample_scale;
    const float* const own = g.sample_probability.row(row);
    if (all == nullptr) {
      add_probability(team, row, [=](index_t e) { return 0.0 + scale * static_cast<double>(own[e]); });
    } else {
      add_probability(team, row, [=](index_t e) { return all[e] + scale * static_cast<double>(own[e]); });
    }
  }

  // p_e (c_e - sum_j p_j c_j), with c beside that of the likeliest expert, whose own difference would cancel.
  template <class Team, class Value>
  SY_HD void add_probability(const Team& team, index_t row, const Value& value) const {
    const float* const z = g.scores.row(row);
    float* const d_z = d_scores.row(row);
    const index_t n = d_scores.cols;
    const index_t likeliest = device::argmax(team, n, [=](index_t e) { return z[e]; });
    const float m = z[likeliest];
    const float sum = team.sum(n, [=](index_t e) { return exp(z[e] - m); });
    const double of_likeliest = value(likeliest);
    const auto c = [=](index_t e) { return value(e) - of_likeliest; };
    const double mean = team.sum(n, [=](index_t e) { return exp(z[e] - m) / sum * c(e); });
    team.for_each(n, [=](index_t e) { d_z[e] += static_cast<float>(exp(z[e] - m) / sum * (c(e) - mean)); });
  }
};

// The logarithm is float32 (within one unit in the last place); products and sum are float64.
struct EntropyOfRow {
  tensor::ConstMatrix weights;
  double* entropies;

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
