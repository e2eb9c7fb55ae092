// Batch norm behind a convolution, from the sums of a tile: a few hundred float64 operations per output
// channel.
#pragma once

#include "ops/fused_conv.hpp"
#include "ops/kernels/conv_image.hpp"

namespace switchyard::ops::kernels {

// A tile's part of conv_patch_sums. x' = x - pivot.
struct PatchSumView {
  SY_HD explicit PatchSumView(const double* patch_sums, index_t patch_size_in)
      : places(patch_sums),
        pivot(patch_sums + 1),
        sums(patch_sums + 2),
        products(sums + patch_size_in),
        patch_size(patch_size_in) {}

  const double* places;
  const double* pivot;
  const double* sums;      // of x'_k
  const double* products;  // of x'_k x'_k'
  index_t patch_size;

  // z = base + sum_k w_k x'_k
  SY_HD double base(const float* w, float bias) const {
    double sum = 0;
    for (index_t k = 0; k < patch_size; ++k) sum += w[k];
    return bias + *pivot * sum;
  }
  // sum over the places of sum_k w_k x'_k
  SY_HD double sum_wx(const float* w) const {
    double sum = 0;
    for (index_t k = 0; k < patch_size; ++k) sum += w[k] * sums[k];
    return sum;
  }
  // sum over the places of x'_k sum_k' w_k' x'_k'
  SY_HD double sum_wx_x(const float* w, index_t k) const {
    double sum = 0;
    for (index_t j = 0; j < patch_size; ++j) sum += w[j] * products[k * patch_size + j];
    return sum;
  }
};

// What the kernels below are of: tiles, their patch sums, and the shape of the weights.
struct PatchSumTiles {
  TileView tiles;
  const double* patch_sums;
  index_t patch_size;
  index_t out_channels;

  SY_HD PatchSumView of(index_t tile) const {
    return PatchSumView(patch_sums + tile * (2 + patch_size * (1 + patch_size)), patch_size);
  }
};

SY_HD inline float value_or_zero(const float* values, index_t i) {
  return values != nullptr ? values[i] : 0.0F;
}

// Entry (tile, channel c): mean = base + w.s / n and m2 = w' (G - s s' / n) w, with s and G the sums of x' and
// of its products.
struct ConvMoments {
  PatchSumTiles of;
  OfSets<const float> weight, bias;
  Moments* moments;

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, of.out_channels);
    const index_t c = place.column;
    const index_t set = of.tiles[place.row].set;
    const PatchSumView patches = of.of(place.row);
    const float* const w = weight.of(set) + c * of.patch_size;
    const double n = *patches.places;
    Moments result;
    if (n > 0) {
      const double sum = patches.sum_wx(w);
      double m2 = 0;
      for (index_t k = 0; k < of.patch_size; ++k) {
        m2 += w[k] * (patches.sum_wx_x(w, k) - patches.sums[k] * (sum / n));
      }
      // Rounding may leave a constant channel just below zero. A NaN stays.
      result = {n, patches.base(w, value_or_zero(bias.of(set), c)) + sum / n, m2 < 0 ? 0 : m2};
    }
    moments[i] = result;
  }
};

// Entry (tile, channel c): sum of dy xhat = inv_std (w . sum dy x' + (base - mean) sum dy).
struct ConvSumDyXhat {
  PatchSumTiles of;
  ConvBatchNormView bn;
  const double* sum_dy_x;
  double* sum_dy;  // [tiles][2][out_channels], of dy and of dy xhat

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, of.out_channels);
    const index_t tile = place.row;
    const index_t c = place.column;
    const index_t set = of.tiles[tile].set;
    const PatchSumView patches = of.of(tile);
    const float* const w = bn.weight.of(set) + c * of.patch_size;
    const double* const dy_x = sum_dy_x + (tile * of.out_channels + c) * of.patch_size;
    double* const sums = sum_dy + tile * 2 * of.out_channels;
    double sum = (patches.base(w, value_or_zero(bn.bias.of(set), c)) - bn.norm.mean.of(set)[c]) * sums[c];
    for (index_t k = 0; k < of.patch_size; ++k) sum += w[k] * dy_x[k];
    sums[of.out_channels + c] = bn.norm.inv_std.of(set)[c] * sum;
  }
};

// Entry (tile, weight (c, k)): the sum of d_conv x_k, where x_k = x'_k + pivot and
//   sum d_conv x'_k = gamma inv_std (sum dy x'_k - mean_dy s_k - mean_dy_xhat sum xhat x'_k),
//   sum d_conv      = gamma inv_std (sum dy - n mean_dy - mean_dy_xhat sum xhat),
//   sum xhat x'_k   = inv_std (sum_k' w_k' G_kk' + (base - mean) s_k), sum xhat = inv_std (w . s + n (base -
//   mean)).
struct ConvBatchNormWeightGradient {
  PatchSumTiles of;
  ConvBatchNormView bn;
  const double* sum_dy;
  const double* sum_dy_x;
  tensor::Matrix d_weight;

  SY_HD void operator()(index_t i) const {
    const GridPlace of_tile(i, of.out_channels * of.patch_size);
    const GridPlace place(of_tile.column, of.patch_size);
    const index_t tile = of_tile.row;
    const index_t c = place.row;
    const index_t k = place.column;
    const index_t set = of.tiles[tile].set;
    const PatchSumView patches = of.of(tile);
    const float* const w = bn.weight.of(set) + c * of.patch_size;
    const double n = *patches.places;
    const double inv_std = bn.norm.inv_std.of(set)[c];
    const double mean_dy = bn.norm.mean_dy.of(set)[c];
    const double mean_dy_xhat = bn.norm.mean_dy_xhat.of(set)[c];
    const double centre = patches.base(w, value_or_zero(bn.bias.of(set), c)) - bn.norm.mean.of(set)[c];
    const double xhat_x = inv_std * (patches.sum_wx_x(w, k) + centre * patches.sums[k]);
    const double xhat = inv_std * (patches.sum_wx(w) + n * centre);
    const double shifted = sum_dy_x[i] - mean_dy * patches.sums[k] - mean_dy_xhat * xhat_x;
    const double constant = sum_dy[tile * 2 * of.out_channels + c] - n * mean_dy - mean_dy_xhat * xhat;
    d_weight(tile, of_tile.column) = static_cast<float>(static_cast<double>(bn.norm.gamma.of(set)[c]) *
                                                        inv_std * (shifted + *patches.pivot * constant));
  }
};

// The sums of a tile's gradients by weights and by biases.
struct StoreConvSums {
  index_t weights;
  index_t out_channels;
  double* sum_dy_x;
  double* sum_dy;  // [tiles][2][out_channels]

  SY_HD void put(index_t tile, index_t column, double sum) const {
    if (column < weights) {
      sum_dy_x[tile * weights + column] = sum;
    } else {
      sum_dy[tile * 2 * out_channels + column - weights] = sum;
    }
  }
};

}  // namespace switchyard::ops::kernels
