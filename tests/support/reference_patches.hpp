// Filters shared over patches, one sample at a time, in plain float64 loops. Shares nothing with src/ops but
// the shape.
#pragma once

#include <vector>

#include "ops/patch_filters.hpp"

namespace switchyard::reference {

double activate(ops::PatchActivation activation, double z);
double activation_slope(ops::PatchActivation activation, double z);

// z[p][u] = b_u + <w_u, x_p> for every patch and unit. bias: empty if the shape has none.
std::vector<double> filter_patches(const ops::PatchFilterShape& shape, const std::vector<double>& sample,
                                   const std::vector<double>& weight, const std::vector<double>& bias);
// f_o = sum_p sum_j activation(z). Without an activation the filters add up just the same.
std::vector<double> patch_filters(const ops::PatchFilterShape& shape, const std::vector<double>& sample,
                                  const std::vector<double>& weight, const std::vector<double>& bias);

// The gradient of <f, d_out>, and the sums of the absolute values of its terms: what rounding errors are
// relative to.
struct PatchGradient {
  std::vector<double> weight, bias;
  std::vector<double> weight_magnitude, bias_magnitude;

  explicit PatchGradient(const ops::PatchFilterShape& shape);
};
void add_patch_gradient(const ops::PatchFilterShape& shape, const std::vector<double>& sample,
                        const std::vector<double>& weight, const std::vector<double>& bias,
                        const std::vector<double>& d_out, PatchGradient& gradient);

}  // namespace switchyard::reference
