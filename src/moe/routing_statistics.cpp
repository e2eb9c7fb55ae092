#include "moe/routing_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/contract.hpp"
#include "base/span.hpp"

namespace switchyard::moe {
namespace {

// -p log2 p
double entropy_term(double p) { return p > 0.0 ? -p * std::log2(p) : 0.0; }

}  // namespace

RoutingStatistics::RoutingStatistics(index_t experts, const RowKinds& kinds)
    : importance(experts, 0.0),
      kinds_(kinds),
      counts_(first_load + experts * (1 + 2 * kinds.classes + kinds.counted_groups()), 0) {}

void RoutingStatistics::clear() {
  is_limited = false;
  entropy_sum = chosen_entropy_sum = 0;
  std::ranges::fill(importance, 0.0);
  std::ranges::fill(counts_, 0);
}

void RoutingStatistics::add(const RoutingStatistics& other) {
  SY_EXPECTS(counts_.size() == other.counts_.size(), "statistics of {} and {} counts", counts_.size(),
             other.counts_.size());
  is_limited = is_limited || other.is_limited;
  entropy_sum += other.entropy_sum;
  chosen_entropy_sum += other.chosen_entropy_sum;
  for (std::size_t e = 0; e < importance.size(); ++e) importance[e] += other.importance[e];
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

double RoutingStatistics::per_row(double sum) const {
  return rows() > 0 ? sum / static_cast<double>(rows()) : 0.0;
}

double RoutingStatistics::dropped_share() const {
  std::int64_t slots = 0;
  for (index_t e = 0; e < experts(); ++e) slots += load(e);
  return slots > 0 ? static_cast<double>(dropped()) / static_cast<double>(slots) : 0.0;
}

double RoutingStatistics::usage_entropy() const {
  // Of the usage, which adds up to 1; a sample's weights do not where one of several experts is chosen.
  const double total = std::accumulate(importance.begin(), importance.end(), 0.0);
  if (total <= 0) return 0;
  double sum = 0;
  for (const double weight : importance) sum += entropy_term(weight / total);
  return sum;
}

std::int64_t RoutingStatistics::in_expert(index_t which, index_t kinds, index_t e) const {
  std::int64_t count = 0;
  for (index_t k = 0; k < kinds; ++k) count += counts_[table(which, k, e)];
  return count;
}

// I = H(E) + H(Y) - H(E, Y) of the count table
double RoutingStatistics::mutual_information(index_t which) const {
  const auto term = [&](std::int64_t count) { return entropy_term(per_row(static_cast<double>(count))); };
  double joint = 0;
  double class_entropy = 0;
  for (index_t c = 0; c < classes(); ++c) {
    std::int64_t in_class = 0;
    for (index_t e = 0; e < experts(); ++e) {
      const std::int64_t count = counts_[table(which, c, e)];
      joint += term(count);
      in_class += count;
    }
    class_entropy += term(in_class);
  }
  double expert_entropy = 0;
  for (index_t e = 0; e < experts(); ++e) expert_entropy += term(in_expert(which, classes(), e));
  return std::max(0.0, expert_entropy + class_entropy - joint);  // rounding can give -1e-16
}

// -sum_m (n_m / n) sum_k (n_km / n_m) ln (n_km / n_m) = -sum_mk (n_km / n) ln (n_km / n_m)
double RoutingStatistics::dispatch_entropy(index_t which, index_t kinds) const {
  double sum = 0;
  for (index_t e = 0; e < experts(); ++e) {
    const auto of_expert = static_cast<double>(in_expert(which, kinds, e));
    for (index_t k = 0; k < kinds; ++k) {
      const auto count = static_cast<double>(counts_[table(which, k, e)]);
      if (count > 0) sum -= per_row(count) * std::log(count / of_expert);
    }
  }
  return sum;
}

double RoutingStatistics::expert_share(index_t e) const { return per_row(static_cast<double>(in_expert(e))); }

Vector<double> RoutingStatistics::expert_share() const {
  Vector<double> share(experts());
  for (index_t e = 0; e < experts(); ++e) share[e] = expert_share(e);
  return share;
}

double RoutingStatistics::largest_share() const {
  const Vector<double> share = expert_share();
  return share.empty() ? 0.0 : std::ranges::max(share);
}

double RoutingStatistics::least_active_share() const {
  return std::min(0.01, 0.5 / static_cast<double>(std::max<index_t>(experts(), 1)));
}

index_t RoutingStatistics::active_experts() const {
  const double least = least_active_share();
  return std::ranges::count_if(expert_share(), [&](double share) { return share > least; });
}

bool RoutingStatistics::is_collapsed() const {
  if (experts() < 2 || rows() == 0) return false;
  return largest_share() > 0.9 || 2 * active_experts() < experts();
}

Vector<double> RoutingStatistics::importance_share() const {
  Vector<double> share = importance;
  for (double& value : share) value = per_row(value);
  return share;
}

bool RoutingStatistics::chooses() const {
  for (index_t e = 0; e < experts(); ++e) {
    if (load(e) != rows()) return true;
  }
  return false;
}

bool RoutingStatistics::is_dead(index_t e) const {
  constexpr double most = 1e-3;
  if (load(e) < rows()) return per_row(static_cast<double>(load(e))) < most;
  // Every row sees it. The other experts are looked at last: steps ask this.
  return rows() > 0 && expert_share(e) < most && !chooses();
}

std::vector<index_t> RoutingStatistics::dead_experts() const {
  std::vector<index_t> dead;
  for (index_t e = 0; e < experts(); ++e) {
    if (is_dead(e)) dead.push_back(e);
  }
  return dead;
}

}  // namespace switchyard::moe
