// The sample-similarity regulariser (Krishnamurthy et al. 2023): samples that go to one expert are to be close.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "moe/options.hpp"
#include "nn/batch_tiles.hpp"
#include "ops/moe/regularisers.hpp"
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
// ops/moe/kernels/regularisers.hpp has the loss and its slope.
ops::SimilarityWeights similarity_weights(const Options& options);

// What the samples of this rank add. Memory of the step.
struct SimilarityTerms {
  tensor::Matrix weighted_distances;  // [N, E]: V
  Span<double> distances;             // [N]: sum over x' of d(x, x')
  Span<double> same_expert;           // [N]: sum over e of p_e(x) V_e(x)
};

// Distances come block by block from a matrix product (ops/moe/pairwise.hpp), so that never more than row_block
// x column_block of them are in memory per thread, or those of a block of a GPU, which is given one after the
// other and where a row has the same bits whatever rows are beside it. Every rank needs all rows: per step each
// receives the others' part of B (D + E) floats, and all ranks together compute 2 B^2 (D + E) floating-point
// operations. Blocks of rows end with a shard, blocks of columns are counted in the global batch, so that bits
// do not depend on the layout.
class SimilarityPairs {
 public:
  static constexpr index_t row_block = 128;
  static constexpr index_t column_block = 512;
  // 256 MiB: a batch of up to so many samples is a launch of each kind.
  static constexpr index_t gpu_block = 8192;

  // features: [N, D] of this rank, what distances are taken of; scores: [N, E] of the gate. Collective over the
  // batch's ranks.
  SimilarityTerms measure(device::Context& context, const nn::BatchTiles& tiles, tensor::RowSource features,
                          tensor::ConstMatrix scores);

 private:
  void cut(const nn::BatchTiles& tiles, bool on_gpu);

  Vector<IndexRange> blocks_;  // of this rank's rows
  index_t most_rows_ = 0;      // of a block
};

}  // namespace switchyard::moe
