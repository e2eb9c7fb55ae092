#include "report/quartiles.hpp"

#include <algorithm>
#include <cmath>

namespace switchyard::report {
namespace {

double quantile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

}  // namespace

Quartiles quartiles(std::vector<double> values) {
  std::ranges::sort(values);
  Quartiles result;
  result.lower = quantile(values, 0.25);
  result.median = quantile(values, 0.5);
  result.upper = quantile(values, 0.75);
  const double reach = 1.5 * (result.upper - result.lower);
  // A quartile may lie between two values: then the whisker may not end inside the box.
  const auto first = std::ranges::lower_bound(values, result.lower - reach);
  const auto last = std::ranges::upper_bound(values, result.upper + reach);
  result.lower_whisker = std::min(*first, result.lower);
  result.upper_whisker = std::max(*(last - 1), result.upper);
  return result;
}

}  // namespace switchyard::report
