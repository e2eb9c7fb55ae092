// Where a router sends each sample.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "ops/moe/gating.hpp"
#include "ops/moe/load.hpp"
#include "tensor/view.hpp"

namespace switchyard::moe {

// N samples with K slots each. Dense gating is K = E with slot i = expert i; top-k slots are ordered by falling
// score, ties to the lower expert. All memory is the step's workspace. A router that scores experts by what
// they return writes scores and weights after combine; one without scores has matrices of no columns for them.
struct Routing {
  tensor::ConstMatrix noisy;      // [N, E], by which the experts are chosen; without noise the scores
  tensor::ConstMatrix chosen_by;  // [N, E], by which they are chosen instead; no data: none
  tensor::ConstMatrix clean;      // [N, E], the scores without noise
  Span<std::int32_t> experts;     // [N, K] global expert ids
  tensor::ConstMatrix scores;     // [N, E], of which the weights are: clean or noisy, or their log sigmoid
  tensor::ConstMatrix logits;     // [N, E], of which the scores are the log sigmoid; no data: of none
  ops::WeightSum weight_sum = ops::WeightSum::usual;
  tensor::Matrix weights;      // [N, K] gate weights
  tensor::Matrix log_weights;  // [N, K]; 0 and -infinity where one of several experts answers alone
  tensor::Matrix factors;      // [N, K], what multiplies an expert's output: weights, or the scores themselves
  bool is_limited = false;     // experts take so many rows and no more (moe.capacity)
  Span<std::uint8_t> dropped;  // [N, K], 1 where the expert has no place left; empty: nowhere
  Span<double> entropies;  // [N], in bits, of the softmax over all experts of a gate that chooses one of them
  float noise_deviation = 0;  // of the noise in `noisy`, where it is normal
  index_t samples = 0;
  index_t slots = 0;
  bool is_dense = false;             // every expert has a slot of every sample
  bool in_order_of_experts = false;  // and slot i is expert i's

  Routing rows_from(IndexRange rows) const {
    Routing part = *this;
    for (auto* m : {&part.noisy, &part.clean, &part.scores}) *m = m->rows_from(rows);
    for (auto* m : {&part.logits, &part.chosen_by})
      if (m->data != nullptr) *m = m->rows_from(rows);
    for (auto* m : {&part.weights, &part.log_weights, &part.factors}) *m = m->rows_from(rows);
    part.experts = experts.subspan(rows.begin * slots, rows.size() * slots);
    if (!dropped.empty()) part.dropped = dropped.subspan(rows.begin * slots, rows.size() * slots);
    if (!entropies.empty()) part.entropies = entropies.subspan(rows.begin, rows.size());
    part.samples = rows.size();
    return part;
  }

  bool is_dropped(index_t slot) const { return !dropped.empty() && dropped[slot] != 0; }

  // What each sample adds to the experts' expected load. The scores have normal noise.
  ops::ExpectedLoad expected_load() const { return {clean, noisy, experts.data(), slots, noise_deviation}; }
};

}  // namespace switchyard::moe
