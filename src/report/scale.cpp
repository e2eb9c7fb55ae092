#include "report/scale.hpp"

#include <algorithm>
#include <cmath>

namespace switchyard::report {
namespace {

// The 1, 2 or 5 times a power of ten that is nearest to `raw` by ratio: the geometric means of neighbours
// divide.
double nice_step(double raw, TickKind kind) {
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double fraction = raw / power;
  const double factor = fraction < std::sqrt(2.0)    ? 1
                        : fraction < std::sqrt(10.0) ? 2
                        : fraction < std::sqrt(50.0) ? 5
                                                     : 10;
  const double step = factor * power;
  return kind == TickKind::whole ? std::max(1.0, step) : step;
}

struct Interval {
  double low;
  double high;
};

Interval widened(double low, double high) {
  if (!std::isfinite(low) || !std::isfinite(high)) return {0, 1};
  if (low > high) std::swap(low, high);
  // Closer than this, neighbouring ticks would be one double.
  const double smallest = 1e-9 * std::max(std::abs(low), std::abs(high));
  if (high - low > smallest && high - low > 1e-300) return {low, high};
  const double room = low == 0 ? 1 : std::abs(low) / 2;
  return low == 0 ? Interval{0, 1} : Interval{low - room, high + room};
}

// Multiples of the step from first x step to last x step.
std::vector<double> multiples(double first, double last, double step) {
  std::vector<double> values;
  for (double i = first; i <= last; ++i) values.push_back(i == 0 ? 0.0 : i * step);
  return values;
}

constexpr double slack = 1e-9;  // of a step: 0.3 / 0.1 is 2.9999999999999996

}  // namespace

Ticks nice_ticks(double low, double high, int wanted, TickKind kind) {
  const Interval span = widened(low, high);
  const double step = nice_step((span.high - span.low) / std::max(wanted, 1), kind);
  const double first = std::floor(span.low / step + slack);
  const double last = std::max(std::ceil(span.high / step - slack), first + 1);
  return {first * step, last * step, step, multiples(first, last, step)};
}

Ticks ticks_within(double low, double high, int wanted, TickKind kind) {
  const Interval span = widened(low, high);
  const double step = nice_step((span.high - span.low) / std::max(wanted, 1), kind);
  const double first = std::ceil(span.low / step - slack);
  const double last = std::floor(span.high / step + slack);
  return {span.low, span.high, step, multiples(first, last, step)};
}

}  // namespace switchyard::report
