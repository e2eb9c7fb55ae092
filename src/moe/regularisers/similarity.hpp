// The sample-similarity regulariser (Krishnamurthy et al. 2023): samples that go to one expert are to be close.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "moe/options.hpp"
#include "nn/batch_tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::moe {

// With d(x, x') the Euclidean distance of two samples of the global batch, p the gate's full softmax,
//   D = sum over x != x' of d(x, x'),   G = sum over x != x' of d(x, x') sum_e p_e(x) p_e(x'):
//   scaled            L = scaled G / D: the mean over pairs of the distance by its own mean, times the chance
//                     that both go to one expert
//   same, different   L = same S_same - different S_diff / B^2, as published, where S_same = G / E and
//                     S_diff = (D - G) / (E^2 - E) is the same sum over pairs of different experts
// Probabilities add up to 1, so both forms are a multiple of G and a part that no gate can change; the second
// one's multiple grows with B^2, 1/E and the unit of the inputs.
struct SimilarityWeights {
  double scaled = 0;
  double same = 0;
  double different = 0;

  bool any() const { return scaled > 0 || same > 0 || different > 0; }
};
SimilarityWeights similarity_weights(const Options& options);

// Over the global batch.
struct SimilaritySums {
  double distance = 0;     // D
  double same_expert = 0;  // G
};

// scaled: between 0 and the weight, weight / E for a gate that does not decide, the weight itself where one
// expert gets all; the same when all samples count twice, when inputs are scaled, on any number of ranks. 0
// for a batch whose samples are all equal.
double similarity_loss(const SimilarityWeights& weights, const SimilaritySums& sums, index_t samples,
                       index_t experts);
// dL/dp_e(x) = slope * V_e(x) with V_e(x) = sum over x' != x of d(x, x') p_e(x'), but for a part that is the
// same for all e and so does not pass a softmax. Distances are constants: no gradient flows through them.
double similarity_slope(const SimilarityWeights& weights, const SimilaritySums& sums, index_t samples,
                        index_t experts);

// What the samples of this rank add. Memory of the step.
struct SimilarityTerms {
  tensor::Matrix weighted_distances;  // [N, E]: V
  Span<double> distances;             // [N]: sum over x' of d(x, x')
  Span<double> same_expert;           // [N]: sum over e of p_e(x) V_e(x)
};

// Distances come block by block from a matrix product (ops/moe/pairwise.hpp), so that never more than row_block
// x column_block of them are in memory per thread. Every rank needs all rows: per step each receives the
// others' part of B (D + E) floats, and all ranks together compute 2 B^2 (D + E) floating-point operations.
// Blocks of rows end with a shard, blocks of columns are counted in the global batch, so that bits do not
// depend on the layout.
class SimilarityPairs {
 public:
  static constexpr index_t row_block = 128;
  static constexpr index_t column_block = 512;

  // features: [N, D] of this rank, what distances are taken of; scores: [N, E] of the gate. Collective over the
  // batch's ranks.
  SimilarityTerms measure(device::Context& context, const nn::BatchTiles& tiles, tensor::RowSource features,
                          tensor::ConstMatrix scores);

 private:
  Vector<IndexRange> blocks_;  // of this rank's rows
};

}  // namespace switchyard::moe
