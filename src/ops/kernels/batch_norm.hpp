// Kernels of ops/batch_norm.hpp.
#pragma once

#include <cmath>

#include "ops/batch_norm.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/kernels/tree.hpp"

namespace switchyard::ops::kernels {

inline constexpr double norm_epsilon = 1e-5;
inline constexpr double running_momentum = 0.1;
inline constexpr index_t smallest_norm_batch = 2;  // whose statistics say something of the next batch's

SY_HD inline double at_least_one(double count) { return count < 1.0 ? 1.0 : count; }

// Channel c of a set, which is entry i of the statistics.
SY_HD inline void set_statistics(const NormStatistics& to, const NormValues& of, index_t set, index_t c,
                                 double mean, double variance) {
  const index_t i = set * to.channels + c;
  const double inv_std = 1.0 / std::sqrt(variance + norm_epsilon);
  const double scale = of.gamma.of(set)[c] * inv_std;
  to.mean[i] = mean;
  to.inv_std[i] = inv_std;
  to.scale[i] = static_cast<float>(scale);
  to.shift[i] = static_cast<float>(of.beta.of(set)[c] - scale * mean);
}

// Entry (set, channel).
struct UseBatchStatistics {
  const SetTiles* sets;
  const Moments* of_tiles;
  NormValues values;
  NormStatistics statistics;

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, statistics.channels);
    const index_t c = place.column;
    const SetTiles set = sets[place.row];
    Moments batch;
    for (index_t tile = set.begin; tile < set.end; ++tile)
      batch = merge(batch, of_tiles[tile * statistics.channels + c]);
    set_statistics(statistics, values, place.row, c, batch.mean, batch.m2 / at_least_one(batch.count));
    if (set.samples >= smallest_norm_batch) update_running(place.row, c, batch);
  }

 private:
  SY_HD void update_running(index_t set, index_t c, const Moments& batch) const {
    float& mean = values.running_mean.of(set)[c];
    float& variance = values.running_variance.of(set)[c];
    const double unbiased = batch.m2 / at_least_one(batch.count - 1.0);
    mean = static_cast<float>((1.0 - running_momentum) * mean + running_momentum * batch.mean);
    variance = static_cast<float>((1.0 - running_momentum) * variance + running_momentum * unbiased);
  }
};

// Entry (set, channel).
struct UseRunningStatistics {
  NormValues values;
  NormStatistics statistics;

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, statistics.channels);
    set_statistics(statistics, values, place.row, place.column, values.running_mean.of(place.row)[place.column],
                   values.running_variance.of(place.row)[place.column]);
  }
};

// Entry (set, of dy or of dy xhat, channel).
struct JoinBackwardSums {
  const SetTiles* sets;
  index_t channels;
  index_t places;
  const double* of_tiles;
  NormMeans means;

  SY_HD void operator()(index_t i) const {
    const index_t width = 2 * channels;
    const GridPlace place(i, width);
    const SetTiles set = sets[place.row];
    const double* const column = of_tiles + set.begin * width + place.column;
    const double sum = tree_sum(set.end - set.begin, [=](index_t tile) { return column[tile * width]; });
    const bool is_dy = place.column < channels;
    const index_t c = is_dy ? place.column : place.column - channels;
    (is_dy ? means.dy : means.dy_xhat)[place.row * channels + c] =
        sum / at_least_one(static_cast<double>(set.samples * places));
  }
};

// Entry (tile, column).
struct NormGradients {
  index_t channels;
  index_t zeros;
  const double* sums;
  tensor::Matrix gradients;

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, zeros + 2 * channels);
    const index_t column = place.column - zeros;  // of gamma, then of beta; the sums have beta's first
    const double* const of_tile = sums + place.row * 2 * channels;
    double value = 0;
    if (column >= channels) {
      value = of_tile[column - channels];
    } else if (column >= 0) {
      value = of_tile[channels + column];
    }
    gradients(place.row, place.column) = static_cast<float>(value);
  }
};

}  // namespace switchyard::ops::kernels
