#include "moe/routing_sums.hpp"

#include <algorithm>
#include <array>
#include <numbers>
#include <utility>

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
    ops::score_statistics(pass.context, routing.scores, {}, of_scores, std::numbers::log2e);
    score_entropies_ = of_scores;
  }
  regularisers_.measure(pass, router, routing);
}

void RoutingSums::add_shards(device::Context& context, const ops::TileSums& sums,
                             ops::RowFigures& figures) const {
  const Routing& routing = *routing_;
  ops::add_not_finite(context, sums.from(Columns::bad_scores), routing.noisy);
  figures.add(score_entropies_, sums, Columns::entropy);
  figures.add(weight_entropies_, sums, Columns::chosen_entropy);
  if (routing.in_order_of_experts) {
    ops::add_columns(context, sums.from(Columns::importance), routing.weights);
  } else {
    ops::add_by_index(context, sums.from(Columns::importance), routing.experts, routing.slots, experts_,
                      routing.weights);
  }
  regularisers_.add_shards(context, sums.from(Columns::importance + experts_), figures);
}

void RoutingSums::complete(device::Context& context, Span<const double> sums, index_t rows, double share,
                           Span<double> losses) {
  regularisers_.complete(context,
                         {.sums = sums.subspan(Columns::importance + experts_, regularisers_.width()),
                          .importance = sums.subspan(Columns::importance, experts_),
                          .samples = rows,
                          .share = share},
                         losses);
}

void RoutingSums::read(Span<const double> sums, RoutingStatistics& statistics) const {
  statistics.entropy_sum = sums[Columns::entropy];
  statistics.chosen_entropy_sum = sums[Columns::chosen_entropy];
  std::ranges::copy(sums.subspan(Columns::importance, experts_), statistics.importance.begin());
}

CountPlaces count_places(const RoutingStatistics& statistics, index_t first) {
  ops::CountColumns columns{.loads = first + RoutingStatistics::first_load,
                            .experts = statistics.experts(),
                            .width = first + std::ssize(statistics.counts())};
  if (statistics.classes() > 0) {
    columns.by_label = first + statistics.table(0, 0, 0);
    columns.by_prediction = first + statistics.table(1, 0, 0);
  }
  if (statistics.kinds().counted_groups() > 0) columns.by_group = first + statistics.table(2, 0, 0);
  return {first, columns};
}

void add_counts(device::Context& context, const CountPlaces& places, const DispatchPlan& plan,
                const Routing& routing, ops::CountedRows rows, Span<const ops::KnownCount> known,
                Span<std::int64_t> counts) {
  rows.rows = routing.samples;
  rows.slots = routing.slots;
  rows.experts = routing.experts.data();
  rows.log_weights = routing.log_weights;
  rows.dropped = routing.dropped.empty() ? nullptr : routing.dropped.data();
  std::array<ops::KnownCount, ops::most_known_counts> all = {};
  auto next = std::ranges::copy(known, all.begin()).out;
  *next++ = {places.first, 1, routing.samples};
  *next++ = {places.first + 1, 1, plan.sent_rows()};
  *next++ = {places.first + 2, 1, plan.dropped()};
  ops::CountColumns columns = places.columns;
  // Where every expert sees every row, nobody has to count its load.
  if (routing.is_dense) *next++ = {std::exchange(columns.loads, -1), columns.experts, routing.samples};
  ops::add_counts(context, rows, columns, {all.data(), next - all.begin()}, counts);
}

}  // namespace switchyard::moe
