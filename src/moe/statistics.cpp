#include "moe/statistics.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::moe {

void Statistics::clear() {
  task_loss_sum = likelihood_loss_sum = 0;
  std::ranges::fill(counts_, 0);
  for (Layer& layer : layers) layer.routing.clear();
}

void Statistics::add(const Statistics& other) {
  SY_EXPECTS(layers.size() == other.layers.size(), "statistics of {} and {} layers", layers.size(),
             other.layers.size());
  task_loss_sum += other.task_loss_sum;
  likelihood_loss_sum += other.likelihood_loss_sum;
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  for (std::size_t l = 0; l < layers.size(); ++l) layers[l].routing.add(other.layers[l].routing);
}

std::int64_t Statistics::sent_rows() const {
  std::int64_t rows = 0;
  for (const Layer& layer : layers) rows += layer.routing.sent_rows();
  return rows;
}

double Statistics::per_sample(double sum) const {
  return samples() > 0 ? sum / static_cast<double>(samples()) : 0.0;
}

}  // namespace switchyard::moe
