// Batch norm over a whole batch, for every set of a bank: its statistics and the means that its gradient needs,
// from what each tile left.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/of_sets.hpp"
#include "ops/pooled.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// What training and the running statistics have of a norm, [channels] of each set.
struct NormValues {
  OfSets<const float> gamma, beta;
  OfSets<float> running_mean, running_variance;
};

// The statistics in force, [sets][channels] each.
struct NormStatistics {
  index_t channels = 0;
  double* mean = nullptr;
  double* inv_std = nullptr;  // 1 / sqrt(variance + 1e-5)
  // gamma * (z - mean) * inv_std + beta == scale * z + shift
  float* scale = nullptr;
  float* shift = nullptr;
};

// Those of the batch: of_tiles, [tiles of all ranks][channels], merged in the order of a set's tiles. The
// running ones move a tenth of the way to them (with the unbiased variance), unless the set has fewer than two
// samples.
void use_batch_statistics(device::Context&, Span<const SetTiles> sets, Span<const Moments> of_tiles,
                          const NormValues&, const NormStatistics&);
// The running ones.
void use_running_statistics(device::Context&, index_t sets, const NormValues&, const NormStatistics&);

// means [sets][channels] of dy and of dy xhat over a set's samples and the `places` of a channel in each, from
// their sums, of_tiles [tiles of all ranks][2][channels]. Tiles are added as by sum_tree.
struct NormMeans {
  double* dy = nullptr;
  double* dy_xhat = nullptr;
};
void join_backward_sums(device::Context&, Span<const SetTiles> sets, index_t channels, index_t places,
                        Span<const double> of_tiles, const NormMeans& means);

// Gradients of gamma and beta for each tile, from its sums [tiles][2][channels] of dy and of dy xhat: gradients
// [tiles][zeros + 2 channels] begin with `zeros` zeros, which is the gradient of a bias whose effect the norm
// takes away; then gamma, then beta.
void norm_gradients(device::Context&, index_t channels, Span<const double> sums, index_t zeros,
                    tensor::Matrix gradients);

}  // namespace switchyard::ops
