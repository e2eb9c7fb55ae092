#include "support/reference_patches.hpp"

#include <cmath>
#include <numbers>

#include "base/ids.hpp"

namespace switchyard::reference {
namespace {

using ops::PatchActivation;

double gelu_inner(double z) { return std::sqrt(2.0 / std::numbers::pi) * (z + 0.044715 * std::pow(z, 3)); }

}  // namespace

double activate(PatchActivation activation, double z) {
  switch (activation) {
    case PatchActivation::none:
      return z;
    case PatchActivation::relu:
      return std::max(z, 0.0);
    case PatchActivation::cubic:
      return std::pow(z, 3);
    case PatchActivation::celu:
      return std::max(z, 0.0) + std::min(std::expm1(z), 0.0);
    case PatchActivation::gelu:
      return z / (1.0 + std::exp(-2.0 * gelu_inner(z)));
    case PatchActivation::tanh:
      return std::tanh(z);
  }
  return 0;
}

double activation_slope(PatchActivation activation, double z) {
  switch (activation) {
    case PatchActivation::none:
      return 1;
    case PatchActivation::relu:
      return z > 0 ? 1 : 0;
    case PatchActivation::cubic:
      return 3 * std::pow(z, 2);
    case PatchActivation::celu:
      return std::exp(std::min(z, 0.0));
    case PatchActivation::gelu: {
      const double share = 1.0 / (1.0 + std::exp(-2.0 * gelu_inner(z)));
      const double inner_slope = std::sqrt(2.0 / std::numbers::pi) * (1.0 + 3.0 * 0.044715 * std::pow(z, 2));
      return share + z * 2.0 * share * (1.0 - share) * inner_slope;
    }
    case PatchActivation::tanh:
      return std::pow(std::cosh(z), -2);
  }
  return 0;
}

std::vector<double> filter_patches(const ops::PatchFilterShape& shape, const std::vector<double>& sample,
                                   const std::vector<double>& weight, const std::vector<double>& bias) {
  const index_t units = shape.outputs * shape.filters;
  std::vector<double> z;
  for (index_t p = 0; p < shape.patches; ++p) {
    for (index_t u = 0; u < units; ++u) {
      double sum = shape.bias ? bias[as_size(u)] : 0.0;
      for (index_t i = 0; i < shape.patch_size; ++i) {
        sum += sample[as_size(p * shape.patch_size + i)] * weight[as_size(i * units + u)];
      }
      z.push_back(sum);
    }
  }
  return z;
}

std::vector<double> patch_filters(const ops::PatchFilterShape& shape, const std::vector<double>& sample,
                                  const std::vector<double>& weight, const std::vector<double>& bias) {
  const std::vector<double> z = filter_patches(shape, sample, weight, bias);
  const index_t units = shape.outputs * shape.filters;
  std::vector<double> out(as_size(shape.outputs), 0.0);
  for (index_t p = 0; p < shape.patches; ++p) {
    for (index_t u = 0; u < units; ++u) {
      out[as_size(u / shape.filters)] += activate(shape.activation, z[as_size(p * units + u)]);
    }
  }
  return out;
}

PatchGradient::PatchGradient(const ops::PatchFilterShape& shape)
    : weight(as_size(shape.patch_size * shape.outputs * shape.filters), 0.0),
      bias(shape.bias ? as_size(shape.outputs * shape.filters) : 0, 0.0),
      weight_magnitude(weight.size(), 0.0),
      bias_magnitude(bias.size(), 0.0) {}

void add_patch_gradient(const ops::PatchFilterShape& shape, const std::vector<double>& sample,
                        const std::vector<double>& weight, const std::vector<double>& bias,
                        const std::vector<double>& d_out, PatchGradient& gradient) {
  const std::vector<double> z = filter_patches(shape, sample, weight, bias);
  const index_t units = shape.outputs * shape.filters;
  for (index_t p = 0; p < shape.patches; ++p) {
    for (index_t u = 0; u < units; ++u) {
      const double dz =
          d_out[as_size(u / shape.filters)] * activation_slope(shape.activation, z[as_size(p * units + u)]);
      for (index_t i = 0; i < shape.patch_size; ++i) {
        const double term = sample[as_size(p * shape.patch_size + i)] * dz;
        gradient.weight[as_size(i * units + u)] += term;
        gradient.weight_magnitude[as_size(i * units + u)] += std::abs(term);
      }
      if (!shape.bias) continue;
      gradient.bias[as_size(u)] += dz;
      gradient.bias_magnitude[as_size(u)] += std::abs(dz);
    }
  }
}

}  // namespace switchyard::reference
