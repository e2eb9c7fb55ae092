// What sums over a batch add to the loss to keep experts in use, or apart, and the gradients by those sums: E
// numbers, which one thread of a device takes in their order. moe/regularisers has what they are for.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"

namespace switchyard::ops {

// In the memory of the context.
struct RegulariserResult {
  double* loss = nullptr;      // is added to
  Span<double> gradient = {};  // [E], by one sample's part of the sums, times `share`
  double share = 1;            // of the step's batch
};

// The squared coefficient of variation (Shazeer et al. 2017). amount[e]: what expert e got of the global batch;
// with mean m and unbiased variance s^2 (divisor E - 1): weight * s^2 / m^2. It does not change when all
// samples count twice, nor with the number of ranks. One expert: 0.
//   s^2 / m^2 = E^2 / (E - 1) * (sum I^2 / (sum I)^2 - 1 / E)
//   d / d I_e = 2 E^2 / (E - 1) * (I_e / S^2 - Q / S^3),   S = sum I, Q = sum I^2
void squared_variation(device::Context&, Span<const double> amount, double weight, const RegulariserResult&);

// load[e] counts slots, probability[e] is a sum over samples: weight * E * sum_e f_e P_e, with f_e the share of
// the slots and P_e the mean probability. The gradient is by a sample's probability, of `samples`.
void balance(device::Context&, Span<const double> load, Span<const double> probability, index_t samples,
             double weight, const RegulariserResult&);

// weight * sum / samples. No gradient.
void mean_of_samples(device::Context&, const double* sum, index_t samples, double weight,
                     const RegulariserResult&);

// With D and G of a batch's pairs of samples (moe/regularisers/similarity.hpp):
//   scaled            scaled G / D
//   same, different   same S_same - different S_diff / B^2, S_same = G / E and S_diff = (D - G) / (E^2 - E)
struct SimilarityWeights {
  double scaled = 0;
  double same = 0;
  double different = 0;

  bool any() const { return scaled > 0 || same > 0 || different > 0; }
};
struct SimilaritySums {
  double distance = 0;     // D
  double same_expert = 0;  // G
};
struct SimilarityBatch {
  index_t samples = 0;
  index_t experts = 0;
};
// sums: D and G. gradient: [1], the factor of V_e(x) in dL/dp_e(x).
void similarity(device::Context&, Span<const double> sums, const SimilarityBatch& of,
                const SimilarityWeights& weights, const RegulariserResult&);

}  // namespace switchyard::ops
