// Batch norm behind a convolution, from the sums of a tile: a few hundred float64 operations per output
// channel.
#pragma once

#include "ops/fused_conv.hpp"
#include "ops/kernels/conv_image.hpp"

namespace switchyard::ops::kernels {

// The span of conv_patch_sums. x' = x - pivot.
struct PatchSumView {
  explicit PatchSumView(const double* patch_sums, index_t patch_size_in)
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

// Channel c: mean = base + w.s / n and m2 = w' (G - s s' / n) w, with s and G the sums of x' and of its
// products.
struct ConvMoments {
  PatchSumView patches;
  const float* weight;
  const float* bias;
  Moments* moments;

  SY_HD void operator()(index_t c) const {
    const float* const w = weight + c * patches.patch_size;
    const double n = *patches.places;
    Moments result;
    if (n > 0) {
      const double sum = patches.sum_wx(w);
      double m2 = 0;
      for (index_t k = 0; k < patches.patch_size; ++k) {
        m2 += w[k] * (patches.sum_wx_x(w, k) - patches.sums[k] * (sum / n));
      }
      // Rounding may leave a constant channel just below zero. A NaN stays.
      result = {n, patches.base(w, bias[c]) + sum / n, m2 < 0 ? 0 : m2};
    }
    moments[c] = result;
  }
};

// Channel c: sum of dy xhat = inv_std (w . sum dy x' + (base - mean) sum dy).
struct ConvSumDyXhat {
  PatchSumView patches;
  ConvBatchNormView bn;
  const double* sum_dy;
  const double* sum_dy_x;
  double* sum_dy_xhat;

  SY_HD void operator()(index_t c) const {
    const float* const w = bn.weight + c * patches.patch_size;
    double sum = (patches.base(w, bn.bias[c]) - bn.norm.mean[c]) * sum_dy[c];
    for (index_t k = 0; k < patches.patch_size; ++k) {
      sum += w[k] * sum_dy_x[c * patches.patch_size + k];
    }
    sum_dy_xhat[c] = bn.norm.inv_std[c] * sum;
  }
};

// Weight i = (c, k): the sum of d_conv x_k, where x_k = x'_k + pivot and
//   sum d_conv x'_k = gamma inv_std (sum dy x'_k - mean_dy s_k - mean_dy_xhat sum xhat x'_k),
//   sum d_conv      = gamma inv_std (sum dy - n mean_dy - mean_dy_xhat sum xhat),
//   sum xhat x'_k   = inv_std (sum_k' w_k' G_kk' + (base - mean) s_k), sum xhat = inv_std (w . s + n (base -
//   mean)).
struct ConvBatchNormWeightGradient {
  PatchSumView patches;
  ConvBatchNormView bn;
  const double* sum_dy;
  const double* sum_dy_x;
  const double* mean_dy;
  const double* mean_dy_xhat;
  float* d_weight;

  SY_HD void operator()(index_t i) const {
    const index_t c = i / patches.patch_size;
    const index_t k = i % patches.patch_size;
    const float* const w = bn.weight + c * patches.patch_size;
    const double n = *patches.places;
    const double centre = patches.base(w, bn.bias[c]) - bn.norm.mean[c];
    const double xhat_x = bn.norm.inv_std[c] * (patches.sum_wx_x(w, k) + centre * patches.sums[k]);
    const double xhat = bn.norm.inv_std[c] * (patches.sum_wx(w) + n * centre);
    const double shifted = sum_dy_x[i] - mean_dy[c] * patches.sums[k] - mean_dy_xhat[c] * xhat_x;
    const double constant = sum_dy[c] - n * mean_dy[c] - mean_dy_xhat[c] * xhat;
    d_weight[i] = static_cast<float>(static_cast<double>(bn.norm.gamma[c]) * bn.norm.inv_std[c] *
                                     (shifted + *patches.pivot * constant));
  }
};

}  // namespace switchyard::ops::kernels
