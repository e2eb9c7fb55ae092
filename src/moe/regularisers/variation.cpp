#include "moe/regularisers/variation.hpp"

#include <algorithm>

namespace switchyard::moe {
namespace {

struct Sums {
  double total = 0;
  double squares = 0;
};

Sums sums_of(Span<const double> amount) {
  Sums sums;
  for (const double value : amount) {
    sums.total += value;
    sums.squares += value * value;
  }
  return sums;
}

}  // namespace

double squared_variation(Span<const double> amount, double weight) {
  const auto experts = static_cast<double>(amount.size());
  const Sums sums = sums_of(amount);
  if (amount.size() < 2 || sums.total == 0.0) return 0.0;
  return weight * experts * experts / (experts - 1.0) *
         (sums.squares / (sums.total * sums.total) - 1.0 / experts);
}

void squared_variation_gradient(Span<const double> amount, double weight, Span<double> gradient) {
  const auto experts = static_cast<double>(amount.size());
  const Sums sums = sums_of(amount);
  std::ranges::fill(gradient, 0.0);
  if (amount.size() < 2 || sums.total == 0.0) return;
  const double factor = weight * 2.0 * experts * experts / (experts - 1.0);
  const double square = sums.total * sums.total;
  for (std::size_t e = 0; e < amount.size(); ++e) {
    gradient[e] = factor * (amount[e] / square - sums.squares / (square * sums.total));
  }
}

}  // namespace switchyard::moe
