#include "moe/routing_sums.hpp"

#include <algorithm>
#include <numbers>

#include "ops/reduce.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {

namespace {

// Weights that add up to 1.
tensor::ConstMatrix shares_of(const nn::Pass& pass, const Routing& routing) {
  if (routing.weight_sum == ops::WeightSum::usual || routing.weight_sum == ops::WeightSum::slots)
    return routing.weights;
  const tensor::Matrix shares = tensor::allocate_matrix(pass.workspace(), routing.samples, routing.slots);
  ops::shares(pass.context, routing.weights, shares);
  return shares;
}

}  // namespace

void RoutingSums::measure(const nn::Pass& pass, const Router& router, const Routing& routing) {
  routing_ = &routing;
  weight_entropies_ = {};
  const auto allocate = [&] { return pass.workspace().allocate<double>(routing.samples); };
  score_entropies_ = routing.entropies;
  if (routing.slots > 1) {
    const Span<double> of_weights = allocate();
    ops::entropy_rows(pass.context, shares_of(pass, routing), of_weights);
    weight_entropies_ = score_entropies_ = of_weights;
  }
  const bool are_known = routing.slots == 1 && !routing.entropies.empty();
  if (routing.scores.cols == experts_ && routing.slots < experts_ && !are_known) {
    const Span<double> of_scores = allocate();
    ops::score_statistics(pass.context, routing.scores, {}, of_scores);
    for (double& entropy : of_scores) entropy *= std::numbers::log2e;
    score_entropies_ = of_scores;
  }
  regularisers_.measure(pass, router, routing);
}

void RoutingSums::add_shard(device::Context& context, IndexRange rows, Span<double> sums) const {
  const Routing& routing = *routing_;
  sums[Columns::bad_scores] = ops::all_finite(context, routing.noisy.rows_from(rows)) ? 0.0 : 1.0;
  double* const importance = sums.data() + Columns::importance;
  const auto add = [&](Span<const double> of_rows, index_t column) {
    if (!of_rows.empty()) ops::add_sum(context, of_rows.subspan(rows.begin, rows.size()), sums[column]);
  };
  add(score_entropies_, Columns::entropy);
  add(weight_entropies_, Columns::chosen_entropy);
  for (index_t n = rows.begin; n < rows.end; ++n) {
    for (index_t i = 0; i < routing.slots; ++i)
      importance[routing.experts[n * routing.slots + i]] += routing.weights(n, i);
  }
  regularisers_.add_shard(context, rows, sums.subspan(Columns::importance + experts_));
}

void RoutingSums::complete(Span<const double> sums, index_t rows, RoutingStatistics& statistics) {
  all_finite_ = sums[Columns::bad_scores] == 0;
  statistics.entropy_sum = sums[Columns::entropy];
  statistics.chosen_entropy_sum = sums[Columns::chosen_entropy];
  std::ranges::copy(sums.subspan(Columns::importance, experts_), statistics.importance.begin());
  regularisers_.complete(sums.subspan(Columns::importance + experts_), statistics.importance, rows);
}

// A part of a batch counts by its share of the rows.
RegulariserGradients RoutingSums::regulariser_gradients(const nn::Pass& pass) const {
  RegulariserGradients gradients = regularisers_.gradients(pass.workspace());
  const double share = pass.batch.share;
  if (share == 1) return gradients;
  for (Span<const double>* of : {&gradients.importance, &gradients.probability, &gradients.load}) {
    const Span<double> scaled = pass.workspace().allocate<double>(std::ssize(*of));
    std::ranges::transform(*of, scaled.begin(), [&](double value) { return share * value; });
    *of = scaled;
  }
  gradients.z_loss *= share;
  gradients.entropy *= share;
  gradients.sample_scale *= share;
  return gradients;
}

}  // namespace switchyard::moe
