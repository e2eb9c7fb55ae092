#include "support/reference_losses.hpp"

#include <algorithm>
#include <cmath>

namespace switchyard::reference {

std::vector<double> softmax_of(const std::vector<double>& values) {
  const double largest = *std::max_element(values.begin(), values.end());
  std::vector<double> p;
  double total = 0;
  for (const double value : values) p.push_back(std::exp(value - largest)), total += p.back();
  for (double& value : p) value /= total;
  return p;
}

double cross_entropy(const std::vector<double>& f, std::int64_t label) {
  const double largest = *std::max_element(f.begin(), f.end());
  double total = 0;
  for (const double value : f) total += std::exp(value - largest);
  return std::log(total) + largest - f[static_cast<std::size_t>(label)];
}

double logistic(double f, std::int64_t label) {
  const double wrong = label == 1 ? -f : f;
  return wrong > 0 ? wrong + std::log1p(std::exp(-wrong)) : std::log1p(std::exp(wrong));
}

double double_softmax(const std::vector<double>& f, std::int64_t label) {
  return cross_entropy(softmax_of(f), label);
}

}  // namespace switchyard::reference
