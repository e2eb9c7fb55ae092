#include "moe/traffic.hpp"

#include <algorithm>

namespace switchyard::moe {
namespace {

// So many rows to experts, and slots to and from them.
Traffic traffic_of(const LayerOptions& options, double rows, double slots) {
  const nn::Network expert(options.expert, options.expert_options);
  const auto width = static_cast<double>(expert.in_features());
  const auto returned = static_cast<double>(options.outputs + expert.shown_hidden());
  Traffic traffic{.dispatch = {rows, rows * width}, .combine = {slots, slots * returned}};
  if (!expert.frozen()) traffic.combine_backward = traffic.combine;
  if (options.expert_options.input_gradient) traffic.dispatch_backward = {slots, slots * width};
  return traffic;
}

}  // namespace

Traffic::Direction Traffic::all() const {
  Direction sum;
  for (const Direction& one : {dispatch, combine, combine_backward, dispatch_backward}) {
    sum.rows += one.rows;
    sum.floats += one.floats;
  }
  return sum;
}

// 1 - C(E - m, K) / C(E, K), factor by factor.
double chance_of_any(index_t hosted, index_t slots, index_t experts) {
  double none = 1;
  for (index_t slot = 0; slot < slots; ++slot) {
    const auto left = static_cast<double>(experts - slot);
    none *= std::max(left - static_cast<double>(hosted), 0.0) / left;
  }
  return 1 - none;
}

Traffic traffic_of_all_slots(const LayerOptions& options) {
  const auto slots = static_cast<double>(options.routing.slots());
  return traffic_of(options, slots, slots);
}

Traffic traffic(const LayerOptions& options, const Placement& placement) {
  const double elsewhere = 1 - 1 / static_cast<double>(placement.rank_count());
  const index_t slots = options.routing.slots();
  double ranks = 0;
  for (int rank = 0; rank < placement.rank_count(); ++rank)
    ranks += chance_of_any(std::ssize(placement.hosted_by(GroupRank(rank))), slots, placement.expert_count());
  ranks /= placement.replicas();  // a slot goes to one of them
  return traffic_of(options, ranks * elsewhere, static_cast<double>(slots) * elsewhere);
}

}  // namespace switchyard::moe
