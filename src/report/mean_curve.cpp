#include "report/mean_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace switchyard::report {
namespace {

constexpr std::size_t places = 200;

std::optional<double> value_at(const std::vector<Point>& points, double x) {
  const auto after = std::ranges::lower_bound(points, x, {}, &Point::x);
  if (after == points.end()) return std::nullopt;
  if (after->x == x) return after->y;
  if (after == points.begin()) return std::nullopt;
  const Point& before = *(after - 1);
  return std::lerp(before.y, after->y, (x - before.x) / (after->x - before.x));
}

}  // namespace

Curve mean_curve(const std::vector<std::vector<Point>>& runs, std::string name, std::size_t colour) {
  Curve curve{std::move(name), {}, colour, Stroke::solid, false, {}};
  double first = std::numeric_limits<double>::infinity();
  double last = -first;
  std::size_t longest = 0;
  for (const auto& points : runs) {
    if (points.empty()) continue;
    first = std::min(first, points.front().x);
    last = std::max(last, points.back().x);
    longest = std::max(longest, points.size());
  }
  const std::size_t count = std::min(longest, places);
  for (std::size_t i = 0; i < count; ++i) {
    // The ends exactly: a rounded last place would lie behind every run.
    const double x = i == 0 ? first
                     : i + 1 == count
                         ? last
                         : first + (last - first) * static_cast<double>(i) / static_cast<double>(count - 1);
    double sum = 0;
    std::size_t values = 0;
    Band band{x, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
    for (const auto& points : runs) {
      const auto value = value_at(points, x);
      if (!value || !std::isfinite(*value)) continue;
      sum += *value;
      ++values;
      band.low = std::min(band.low, *value);
      band.high = std::max(band.high, *value);
    }
    if (values == 0) continue;
    curve.points.push_back({x, sum / static_cast<double>(values)});
    curve.band.push_back(band);
  }
  return curve;
}

}  // namespace switchyard::report
