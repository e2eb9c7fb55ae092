#include "report/line_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace switchyard::report {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Extent {
  double low = infinity;
  double high = -infinity;
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

Extent x_extent(const LineChart& chart) {
  Extent extent;
  for (const Curve& curve : chart.curves) {
    for (const Point& point : curve.points) {
      if (std::isfinite(point.y)) extent.add(point.x);
    }
  }
  for (const Mark& mark : chart.marks) extent.add(mark.at.x);
  return extent;
}

std::string_view stroke_class(Stroke stroke) {
  switch (stroke) {
    case Stroke::solid:
      return "curve";
    case Stroke::dashed:
      return "curve dashed";
    case Stroke::dotted:
      return "curve dotted";
  }
  return "";
}

// "loss: 2.303 at 1, 0.3571 at 2,160; smallest 0.3402"
std::string curve_tooltip(const Curve& curve, NumberStyle style) {
  const Point* first = nullptr;
  const Point* last = nullptr;
  Extent extent;
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
  const std::string colour = colour_class(curve.colour);
  svg.element("path",
              {{"class", fmt::format("{} {}", stroke_class(curve.stroke), colour)}, {"d", path_data(points)}},
              curve_tooltip(curve, style));
  for (std::size_t i = 0; i < points.size(); ++i) {
    // A lone point has no line that would show it.
    if ((!curve.dots && points.size() > 1) || !std::isfinite(points[i].y)) continue;
    svg.element("circle", {{"class", "dot " + colour}, {"cx", points[i].x}, {"cy", points[i].y}, {"r", 3}},
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

KeyShape key_shape(const Curve& curve) {
  switch (curve.stroke) {
    case Stroke::solid:
      return KeyShape::line;
    case Stroke::dashed:
      return KeyShape::dashed;
    case Stroke::dotted:
      return KeyShape::dotted;
  }
  return KeyShape::line;
}

std::vector<LegendEntry> legend_of(const LineChart& chart) {
  std::vector<LegendEntry> legend;
  for (const Curve& curve : chart.curves) {
    if (!curve.name.empty()) legend.push_back({curve.name, curve.colour, key_shape(curve)});
  }
  if (!chart.marks.empty()) legend.push_back({chart.mark_name, 0, KeyShape::diamond});
  return legend;
}

}  // namespace

Range value_range(const LineChart& chart) {
  Extent extent;
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
  return {extent.low, extent.high};
}

Figure draw(const LineChart& chart) {
  const Extent x = x_extent(chart);
  if (!(x.low <= x.high)) return {chart.title, {}, "", "Nothing was recorded.", chart.width};
  const bool small = chart.width == FigureWidth::small;
  const FrameSize size = small ? FrameSize{330, 220} : FrameSize{440, 270};
  const Range y = chart.y_range.value_or(value_range(chart));
  Svg svg(size.width, size.height, fmt::format("{}: {} over {}", chart.title, chart.y_label, chart.x_label));
  const Frame frame =
      draw_frame(svg, size, {chart.x_label, ticks_within(x.low, x.high, small ? 4 : 6, TickKind::whole)},
                 {chart.y_label, nice_ticks(y.low, y.high, small ? 4 : 5), chart.y_style});
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
