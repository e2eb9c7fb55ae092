#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.hpp"

namespace switchyard::report {
namespace {

Range x_extent(const LineChart& chart) {
  Range extent;
  for (const Curve& curve : chart.curves) {
    for (const Point& point : curve.points) {
      if (std::isfinite(point.y)) extent.add(point.x);
    }
  }
  for (const Mark& mark : chart.marks) extent.add(mark.at.x);
  return extent;
}

// "loss: 2.303 at 1, 0.3571 at 2,160; from 0.3402 to 2.303"
std::string curve_tooltip(const Curve& curve, NumberStyle style) {
  const Point* first = nullptr;
  const Point* last = nullptr;
  Range extent;
  for (const Point& point : curve.points) {
    if (!std::isfinite(point.y)) continue;
    if (first == nullptr) first = &point;
    last = &point;
    extent.add(point.y);
  }
  if (first == nullptr) return curve.name;
  return fmt::format("{}: {} at {}, {} at {}; from {} to {}", curve.name, number_text(first->y, style),
                     number_text(std::round(first->x)), number_text(last->y, style),
                     number_text(std::round(last->x)), number_text(extent.low, style),
                     number_text(extent.high, style));
}

void draw_band(Svg& svg, const Frame& frame, const Curve& curve) {
  if (curve.band.size() < 2) return;
  std::vector<Point> outline;
  for (const Band& band : curve.band) outline.push_back({frame.x(band.x), frame.y(band.high)});
  for (auto band = curve.band.rbegin(); band != curve.band.rend(); ++band) {
    outline.push_back({frame.x(band->x), frame.y(band->low)});
  }
  svg.element("path", {{"class", "band " + colour_class(curve.colour)}, {"d", path_data(outline) + "Z"}});
}

void draw_curve(Svg& svg, const Frame& frame, const Curve& curve, NumberStyle style) {
  std::vector<Point> points;
  points.reserve(curve.points.size());
  for (const Point& point : curve.points) points.push_back({frame.x(point.x), frame.y(point.y)});
  svg.element("path", {{"class", curve_class(curve.stroke, curve.colour)}, {"d", path_data(points)}},
              curve_tooltip(curve, style));
  for (std::size_t i = 0; i < points.size(); ++i) {
    // A lone point has no line that would show it.
    if ((!curve.dots && points.size() > 1) || !std::isfinite(points[i].y)) continue;
    svg.element(
        "circle",
        {{"class", "dot " + colour_class(curve.colour)}, {"cx", points[i].x}, {"cy", points[i].y}, {"r", 3}},
        fmt::format("{}: {} at {}", curve.name, number_text(curve.points[i].y, style),
                    number_text(curve.points[i].x)));
  }
}

void draw_mark(Svg& svg, const Frame& frame, const LineChart& chart, const Mark& mark) {
  const double x = frame.x(mark.at.x);
  const double y = frame.y(mark.at.y);
  const double deviation = mark.deviation.value_or(0);
  if (deviation > 0) {
    svg.line(x, frame.y(mark.at.y - deviation), x, frame.y(mark.at.y + deviation), "published");
  }
  const std::string value = number_text(mark.at.y, chart.y_style);
  svg.element(
      "path",
      {{"class", "published"}, {"d", path_data({{x, y - 5}, {x + 5, y}, {x, y + 5}, {x - 5, y}}) + "Z"}},
      fmt::format("{}: {}{} at {}", chart.mark_name, value,
                  deviation > 0 ? " ± " + number_text(deviation, chart.y_style) : "", number_text(mark.at.x)));
}

std::vector<LegendEntry> legend_of(const LineChart& chart) {
  std::vector<LegendEntry> legend;
  for (const Curve& curve : chart.curves) {
    if (!curve.name.empty()) legend.push_back({curve.name, curve.colour, KeyShape::curve, curve.stroke});
  }
  if (!chart.marks.empty()) legend.push_back({chart.mark_name, 0, KeyShape::diamond});
  return legend;
}

// Of the line between the points; nothing beside its ends.
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
  constexpr std::size_t places = 200;
  Range x_range;
  std::size_t longest = 0;
  for (const auto& points : runs) {
    if (points.empty()) continue;
    x_range.add(points.front().x);
    x_range.add(points.back().x);
    longest = std::max(longest, points.size());
  }
  const auto [first, last] = x_range;
  const std::size_t count = std::min(longest, places);
  for (std::size_t i = 0; i < count; ++i) {
    // The ends exactly: a rounded last place would lie behind every run.
    const double x = i == 0 ? first
                     : i + 1 == count
                         ? last
                         : first + (last - first) * static_cast<double>(i) / static_cast<double>(count - 1);
    double sum = 0;
    std::size_t values = 0;
    Range span;
    for (const auto& points : runs) {
      const auto value = value_at(points, x);
      if (!value || !std::isfinite(*value)) continue;
      sum += *value;
      ++values;
      span.add(*value);
    }
    if (values == 0) continue;
    curve.points.push_back({x, sum / static_cast<double>(values)});
    curve.band.push_back({x, span.low, span.high});
  }
  return curve;
}

Range value_range(const LineChart& chart) {
  Range extent;
  extent.add(0);
  for (const Curve& curve : chart.curves) {
    for (const Point& point : curve.points) extent.add(point.y);
    for (const Band& band : curve.band) {
      extent.add(band.low);
      extent.add(band.high);
    }
  }
  for (const Mark& mark : chart.marks) {
    extent.add(mark.at.y - mark.deviation.value_or(0));
    extent.add(mark.at.y + mark.deviation.value_or(0));
  }
  if (chart.reference) extent.add(chart.reference->value);
  return extent;
}

Figure draw(LineChart chart) {
  std::erase_if(chart.curves, [](const Curve& curve) { return curve.points.empty(); });
  const Range x = x_extent(chart);
  if (!(x.low <= x.high)) return {chart.title, {}, "", "Nothing was recorded.", chart.width};
  const bool small = chart.width == FigureWidth::small;
  const FrameSize size = small ? FrameSize{330, 220} : FrameSize{440, 270};
  const Range y = chart.y_range.value_or(value_range(chart));
  Svg svg(size.width, size.height, fmt::format("{}: {} over {}", chart.title, chart.y_label, chart.x_label));
  const Frame frame = draw_frame(svg, size, {chart.x_label, ticks_within(x, small ? 4 : 6, TickKind::whole)},
                                 {chart.y_label, nice_ticks(y, small ? 4 : 5), chart.y_style});
  for (const Curve& curve : chart.curves) draw_band(svg, frame, curve);
  if (chart.reference) {
    const double place = frame.y(chart.reference->value);
    svg.line(frame.left, place, frame.right, place, "reference");
    svg.text(frame.right, place - 5, "label end", chart.reference->label);
  }
  for (const Curve& curve : chart.curves) draw_curve(svg, frame, curve, chart.y_style);
  for (const Mark& mark : chart.marks) draw_mark(svg, frame, chart, mark);
  return {chart.title, legend_of(chart), svg.finish(), chart.note, chart.width};
}

}  // namespace switchyard::report
