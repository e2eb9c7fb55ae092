#include "moe/balance.hpp"

#include <algorithm>
#include <numeric>

namespace switchyard::moe {

double balance_loss(Span<const double> load, Span<const double> probability, double weight) {
  const double slots = std::accumulate(load.begin(), load.end(), 0.0);
  const double samples = std::accumulate(probability.begin(), probability.end(), 0.0);
  if (slots == 0.0 || samples == 0.0) return 0.0;
  const double sum = std::inner_product(load.begin(), load.end(), probability.begin(), 0.0);
  return weight * static_cast<double>(load.size()) * (sum / (slots * samples));
}

void balance_gradient(Span<const double> load, index_t samples, double weight, Span<double> gradient) {
  const double slots = std::accumulate(load.begin(), load.end(), 0.0);
  std::ranges::fill(gradient, 0.0);
  if (slots == 0.0 || samples == 0) return;
  const double factor = weight * static_cast<double>(load.size()) / (slots * static_cast<double>(samples));
  for (std::size_t e = 0; e < load.size(); ++e) gradient[e] = factor * load[e];
}

}  // namespace switchyard::moe
