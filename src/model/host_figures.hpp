// Figures of a batch by way of statistics, for models that count on the host.
#pragma once

#include <limits>

#include "moe/figures.hpp"
#include "moe/regulariser.hpp"
#include "moe/statistics.hpp"

namespace switchyard::model {

// In the order of the array of sums: use(sum).
inline void for_each_sum(moe::Statistics& statistics, const auto& use) {
  use(statistics.task_loss_sum);
  use(statistics.likelihood_loss_sum);
  for (double& sum : statistics.squared_errors) use(sum);
  for (auto& layer : statistics.layers) {
    use(layer.routing.entropy_sum);
    use(layer.routing.chosen_entropy_sum);
    for (double& sum : layer.routing.importance) use(sum);
  }
}
inline index_t host_sum_count(moe::Statistics statistics, index_t regularisers) {
  index_t count = 1 + regularisers;
  for_each_sum(statistics, [&](double&) { ++count; });
  return count;
}
inline index_t host_count_count(moe::Statistics statistics) {
  index_t count = 0;
  statistics.for_each_counts([&](Span<std::int64_t> counts) { count += std::ssize(counts); });
  return count;
}
inline void add_figures(moe::Statistics& statistics, bool all_finite, const Vector<double>& regularisers,
                        double share, moe::BatchFigures figures) {
  index_t place = 0;
  for_each_sum(statistics, [&](double sum) { figures.sums[place++] += sum; });
  figures.sums[place++] += all_finite ? 0.0 : std::numeric_limits<double>::infinity();
  for (const double loss : regularisers) figures.sums[place++] += share * loss;
  place = 0;
  statistics.for_each_counts([&](Span<std::int64_t> counts) {
    for (const std::int64_t count : counts) figures.counts[place++] += count;
  });
}
inline void read_counts(Span<const std::int64_t> counts, moe::Statistics& statistics) {
  index_t place = 0;
  statistics.for_each_counts([&](Span<std::int64_t> of) {
    for (std::int64_t& count : of) count = counts[place++];
  });
}
inline void read_figures(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
                         Vector<double>& regularisers) {
  index_t place = 0;
  for_each_sum(statistics, [&](double& sum) { sum = sums[place++]; });
  ++place;
  const Span<const double> losses = sums.subspan(place);
  regularisers.assign(losses.begin(), losses.end());
  read_counts(counts, statistics);
}

}  // namespace switchyard::model
