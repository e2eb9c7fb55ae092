#include "moe/statistics.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::moe {

const std::shared_ptr<const Statistics::Names>& Statistics::no_names() {
  static const auto none = std::make_shared<const Names>();
  return none;
}

void Statistics::clear() {
  task_loss_sum = likelihood_loss_sum = 0;
  std::ranges::fill(squared_errors, 0.0);
  std::ranges::fill(counts_, 0);
  for (Layer& layer : layers) layer.routing.clear();
}

void Statistics::add(const Statistics& other) {
  SY_EXPECTS(layers.size() == other.layers.size(), "statistics of {} and {} layers", layers.size(),
             other.layers.size());
  task_loss_sum += other.task_loss_sum;
  likelihood_loss_sum += other.likelihood_loss_sum;
  for (std::size_t t = 0; t < squared_errors.size(); ++t) squared_errors[t] += other.squared_errors[t];
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  for (std::size_t l = 0; l < layers.size(); ++l) layers[l].routing.add(other.layers[l].routing);
}

void Statistics::set_counts(Span<const std::int64_t> counts) {
  index_t first = 0;
  for_each_counts([&](Span<std::int64_t> of) {
    std::ranges::copy(counts.subspan(first, std::ssize(of)), of.begin());
    first += std::ssize(of);
  });
}

double Statistics::likelihood_loss() const {
  if (!is_regression()) return per_sample(likelihood_loss_sum);
  if (!targets.are_densities) return mean_squared_error();
  double units = 0;
  for (const double unit : targets.units) units += std::log(unit);
  return per_sample(likelihood_loss_sum) + units;
}

double Statistics::mean_squared_error() const {
  double sum = 0;
  for (std::size_t t = 0; t < squared_errors.size(); ++t)
    sum += targets.units[t] * targets.units[t] * per_sample(squared_errors[t]);
  return sum / static_cast<double>(squared_errors.size());
}

double Statistics::r2() const {
  double sum = 0;
  for (std::size_t t = 0; t < targets.variances.size(); ++t)
    sum += targets.variances[t] > 0 ? 1 - per_sample(squared_errors[t]) / targets.variances[t] : 0.0;
  return sum / static_cast<double>(squared_errors.size());
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
