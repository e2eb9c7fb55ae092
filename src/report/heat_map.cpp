#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/charts.hpp"

namespace switchyard::report {
namespace {

// Of the strongest colour: from here on the text is light on a light page, and dark on a dark one.
constexpr double strong_from = 0.7;
constexpr std::size_t half_width_columns = 10;
constexpr std::size_t name_characters = 18;

std::string name_of(const HeatMap& map, std::size_t row) {
  return map.row_names.empty() ? fmt::format("{}", row) : map.row_names[row];
}

struct Layout {
  double width = 0;
  double left = 0;
  double top = 44;
  double cell_width = 0;
  double cell_height = 0;
  bool has_counts = false;
  std::size_t label_every = 1;
  double largest_share = 0;  // of a row: the strongest cell
};

double sum_of(const std::vector<std::int64_t>& counts) {
  return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
}

Layout layout_of(const HeatMap& map) {
  const auto columns = static_cast<double>(map.counts.front().size());
  std::int64_t largest = 0;
  Layout layout;
  for (const auto& row : map.counts) {
    const std::int64_t count = std::ranges::max(row);
    largest = std::max(largest, count);
    if (count > 0)
      layout.largest_share = std::max(layout.largest_share, static_cast<double>(count) / sum_of(row));
  }
  layout.width = map.counts.front().size() > half_width_columns ? 900 : 440;
  double names = text_width(fmt::format("{}", map.counts.size() - 1));
  for (const std::string& name : map.row_names)
    names = std::max(names, text_width(shortened(name, name_characters)));
  layout.left = names + 14;
  layout.cell_width = (layout.width - layout.left - 4) / columns;
  layout.has_counts = text_width(fmt::format("{}", largest)) + 2 <= layout.cell_width;
  layout.cell_height = map.counts.size() > 30 ? 12 : 22;
  layout.label_every =
      static_cast<std::size_t>(std::ceil((text_width(fmt::format("{}", columns - 1)) + 4) / layout.cell_width));
  return layout;
}

void draw_row(Svg& svg, const HeatMap& map, const Layout& layout, std::size_t row) {
  const auto& counts = map.counts[row];
  const double sum = sum_of(counts);
  const double y = layout.top + layout.cell_height * static_cast<double>(row);
  const std::string name = name_of(map, row);
  if (layout.cell_height > 13 || row % 2 == 0) {
    svg.text(layout.left - 6, y + layout.cell_height / 2 + 4, "tick end", shortened(name, name_characters));
  }
  for (std::size_t column = 0; column < counts.size(); ++column) {
    const double share = sum > 0 ? static_cast<double>(counts[column]) / sum : 0;
    const double strength = share > 0 ? share / layout.largest_share : 0;
    const double x = layout.left + layout.cell_width * static_cast<double>(column);
    svg.element("rect",
                {{"class", "cell"},
                 {"x", x},
                 {"y", y},
                 {"width", layout.cell_width},
                 {"height", layout.cell_height},
                 {"fill-opacity", fmt::format("{:.3f}", strength)}},
                fmt::format("{} {}, {} {}: {}, {} of the row", map.row_label, name, map.column_label, column,
                            counts[column], number_text(share, NumberStyle::percent)));
    if (!layout.has_counts || counts[column] == 0) continue;
    svg.text(x + layout.cell_width / 2, y + layout.cell_height / 2 + 4,
             strength >= strong_from ? "count on-dark" : "count", fmt::format("{}", counts[column]));
  }
}

}  // namespace

Figure draw(const HeatMap& map) {
  if (map.counts.empty() || map.counts.front().empty()) return {map.title, {}, "", "Nothing was recorded."};
  const Layout layout = layout_of(map);
  const auto rows = static_cast<double>(map.counts.size());
  Svg svg(layout.width, layout.top + rows * layout.cell_height + 4,
          fmt::format("{}: {} by {}", map.title, map.row_label, map.column_label));
  svg.text(2, 13, "label", fmt::format("{} ↓  {} →", map.row_label, map.column_label));
  for (std::size_t column = 0; column < map.counts.front().size(); column += layout.label_every) {
    svg.text(layout.left + layout.cell_width * (static_cast<double>(column) + 0.5), layout.top - 7,
             "tick middle", fmt::format("{}", column));
  }
  for (std::size_t row = 0; row < map.counts.size(); ++row) draw_row(svg, map, layout, row);
  const bool whole = layout.width > 440;
  std::string note = fmt::format("{} The colour is the share of the row; the strongest is {}.", map.note,
                                 number_text(layout.largest_share, NumberStyle::percent));
  return {map.title, {}, svg.finish(), std::move(note), whole ? FigureWidth::whole : FigureWidth::half};
}

}  // namespace switchyard::report
