#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.hpp"

namespace switchyard::report {
namespace {

constexpr double row_height = 46;  // the name, and a box below it
constexpr double middle = 31;      // of the box, from the row's top
constexpr double half_box = 8;
constexpr std::size_t name_columns = 52;

double quantile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

// Where and how a row is drawn.
struct RowPlace {
  Svg& svg;
  const Frame& frame;
  double y;  // the middle
  NumberStyle style;
  std::string colour;
};

void draw_box(const RowPlace& place, const BoxRow& row) {
  Svg& svg = place.svg;
  const Frame& frame = place.frame;
  const double y = place.y;
  const NumberStyle style = place.style;
  const Quartiles box = quartiles(row.values);
  const auto whisker = [&](double from, double to) {
    svg.line(frame.x(from), y, frame.x(to), y, "whisker");
    svg.line(frame.x(to), y - 4, frame.x(to), y + 4, "whisker");
  };
  whisker(box.lower, box.lower_whisker);
  whisker(box.upper, box.upper_whisker);
  svg.element("rect",
              {{"class", fmt::format("box {}", place.colour)},
               {"x", frame.x(box.lower)},
               {"y", y - half_box},
               {"width", std::max(frame.x(box.upper) - frame.x(box.lower), 0.5)},
               {"height", 2 * half_box}},
              fmt::format("{}: median {}, quartiles {} and {}", row.name, number_text(box.median, style),
                          number_text(box.lower, style), number_text(box.upper, style)));
  svg.line(frame.x(box.median), y - half_box, frame.x(box.median), y + half_box, "median");
}

void draw_points(const RowPlace& place, const BoxRow& row) {
  const auto& [svg, frame, y, style, colour] = place;
  for (std::size_t i = 0; i < row.values.size(); ++i) {
    // Three heights, so that equal results stay apart.
    const double offset = (static_cast<double>(i % 3) - 1) * 3.5;
    const std::string& name = i < row.value_names.size() ? row.value_names[i] : row.name;
    svg.element("circle",
                {{"class", fmt::format("point {}", colour)},
                 {"cx", frame.x(row.values[i])},
                 {"cy", y + offset},
                 {"r", 3}},
                fmt::format("{}: {}", name, number_text(row.values[i], style)));
  }
}

void draw_published(const RowPlace& place, const BoxRow& row) {
  if (!row.published) return;
  const double y = place.y;
  const double x = place.frame.x(*row.published);
  place.svg.element(
      "path",
      {{"class", "published"}, {"d", path_data({{x, y - 7}, {x + 6, y}, {x, y + 7}, {x - 6, y}}) + "Z"}},
      fmt::format("{}, published: {}", row.name, number_text(*row.published, place.style)));
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

Figure draw(const BoxPlot& plot) {
  Range all;
  for (const BoxRow& row : plot.rows) {
    for (const double value : row.values) all.add(value);
    if (row.published) all.add(*row.published);
  }
  if (all.low > all.high) return {plot.title, {}, "", "No run has this metric."};
  const RowFrameSize size{440, row_height, plot.rows.size()};
  Svg svg(size.width, row_frame_height(size), fmt::format("{}: {} per arm", plot.title, plot.x_label));
  const Frame frame = draw_row_frame(svg, size, {plot.x_label, nice_ticks(all, 5), plot.style});
  bool has_published = false;
  for (std::size_t i = 0; i < plot.rows.size(); ++i) {
    const BoxRow& row = plot.rows[i];
    const double top = frame.top + row_height * static_cast<double>(i);
    const RowPlace place{svg, frame, top + middle, plot.style, colour_class(i)};
    svg.text(frame.left, top + 16, "row-name",
             fmt::format("{} (n = {})", shortened(row.name, name_columns - 9), row.values.size()));
    if (row.values.size() > 1) draw_box(place, row);
    draw_points(place, row);
    draw_published(place, row);
    has_published = has_published || row.published;
  }
  std::vector<LegendEntry> legend = {{"a run", 0, KeyShape::dot}};
  if (has_published) legend.push_back({"published", 0, KeyShape::diamond});
  return {plot.title, std::move(legend), svg.finish(),
          "Box: quartiles and median; whiskers: to the furthest run within 1.5 box lengths."};
}

Figure draw(const ForestPlot& plot) {
  Range all{0, 0};
  for (const ForestRow& row : plot.rows) {
    for (const double value : {row.low, row.mean, row.high}) all.add(value);
  }
  if (plot.rows.empty()) return {plot.title, {}, "", "There are no pairs to compare."};
  const RowFrameSize size{440, row_height, plot.rows.size()};
  Svg svg(size.width, row_frame_height(size), fmt::format("{}: {}", plot.title, plot.x_label));
  const Frame frame = draw_row_frame(svg, size, {plot.x_label, nice_ticks(all, 5), plot.style});
  svg.line(frame.x(0), frame.top, frame.x(0), frame.bottom, "reference");
  for (std::size_t i = 0; i < plot.rows.size(); ++i) {
    const ForestRow& row = plot.rows[i];
    const double top = frame.top + row_height * static_cast<double>(i);
    const double y = top + middle;
    svg.text(frame.left, top + 16, "row-name", shortened(row.name, name_columns));
    if (std::isfinite(row.low) && std::isfinite(row.high)) {
      svg.line(frame.x(row.low), y, frame.x(row.high), y, "interval");
      for (const double end : {row.low, row.high})
        svg.line(frame.x(end), y - 5, frame.x(end), y + 5, "interval");
    }
    if (!std::isfinite(row.mean)) continue;
    svg.element(
        "rect",
        {{"class", "mean c0"}, {"x", frame.x(row.mean) - 5}, {"y", y - 5}, {"width", 10}, {"height", 10}},
        fmt::format("{}: {}, interval from {} to {}", row.name, number_text(row.mean, plot.style),
                    number_text(row.low, plot.style), number_text(row.high, plot.style)));
  }
  return {plot.title, {}, svg.finish(), plot.note};
}

}  // namespace switchyard::report
