// Kernels of ops/moe/regularisers.hpp: one element, whose numbers one thread takes in their order.
#pragma once

#include "base/host_device.hpp"
#include "ops/moe/regularisers.hpp"

namespace switchyard::ops::kernels {

struct SquaredVariation {
  const double* amount;
  index_t experts;
  double weight;
  double* loss;
  double* gradient;
  double share;

  SY_HD void operator()(index_t /*i*/) const {
    const auto count = static_cast<double>(experts);
    double total = 0;
    double squares = 0;
    for (index_t e = 0; e < experts; ++e) {
      total += amount[e];
      squares += amount[e] * amount[e];
    }
    for (index_t e = 0; e < experts; ++e) gradient[e] = 0.0;
    if (experts < 2 || total == 0.0) return;
    const double square = total * total;
    *loss += weight * count * count / (count - 1.0) * (squares / square - 1.0 / count);
    const double factor = weight * 2.0 * count * count / (count - 1.0);
    for (index_t e = 0; e < experts; ++e)
      gradient[e] = share * (factor * (amount[e] / square - squares / (square * total)));
  }
};

struct BalanceLoss {
  const double* load;
  const double* probability;
  index_t experts;
  index_t samples;
  double weight;
  double* loss;
  double* gradient;
  double share;

  SY_HD void operator()(index_t /*i*/) const {
    const auto count = static_cast<double>(experts);
    double slots = 0;
    double all = 0;
    double sum = 0;
    for (index_t e = 0; e < experts; ++e) {
      slots += load[e];
      all += probability[e];
      sum += load[e] * probability[e];
    }
    const bool any = slots != 0.0 && all != 0.0;
    const double factor = any ? weight * count / (slots * static_cast<double>(samples)) : 0.0;
    for (index_t e = 0; e < experts; ++e) gradient[e] = any ? share * (factor * load[e]) : 0.0;
    if (any) *loss += weight * count * (sum / (slots * all));
  }
};

struct MeanOfSamples {
  const double* sum;
  double samples;
  double weight;
  double* loss;

  SY_HD void operator()(index_t /*i*/) const { *loss += weight * *sum / samples; }
};

// E (E - 1) B^2
SY_HD inline double other_pairs(const SimilarityBatch& of) {
  const auto e = static_cast<double>(of.experts);
  const auto b = static_cast<double>(of.samples);
  return e * (e - 1.0) * b * b;
}

// scaled: between 0 and the weight, weight / E for a gate that does not decide, the weight itself where one
// expert gets all; the same when all samples count twice, when inputs are scaled, on any number of ranks. 0
// for a batch whose samples are all equal.
SY_HD inline double similarity_loss(const SimilarityWeights& weights, const SimilaritySums& sums,
                                    const SimilarityBatch& of) {
  if (sums.distance == 0.0) return 0.0;
  return weights.scaled * sums.same_expert / sums.distance +
         weights.same * sums.same_expert / static_cast<double>(of.experts) -
         weights.different * (sums.distance - sums.same_expert) / other_pairs(of);
}

// dL/dp_e(x) = slope * V_e(x) with V_e(x) = sum over x' != x of d(x, x') p_e(x'), but for a part that is the
// same for all e and so does not pass a softmax. Distances are constants: no gradient flows through them.
SY_HD inline double similarity_slope(const SimilarityWeights& weights, const SimilaritySums& sums,
                                     const SimilarityBatch& of) {
  if (sums.distance == 0.0) return 0.0;
  return 2.0 * (weights.scaled / sums.distance + weights.same / static_cast<double>(of.experts) +
                weights.different / other_pairs(of));
}

struct Similarity {
  const double* sums;
  SimilarityBatch of;
  SimilarityWeights weights;
  double* loss;
  double* slope;
  double share;

  SY_HD void operator()(index_t /*i*/) const {
    const SimilaritySums both{sums[0], sums[1]};
    *loss += similarity_loss(weights, both, of);
    *slope = share * similarity_slope(weights, both, of);
  }
};

}  // namespace switchyard::ops::kernels
