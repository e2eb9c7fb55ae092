#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/charts.hpp"
#include "report/level_cells.hpp"

namespace switchyard::report {
namespace {

// Of the strongest colour: from here on the text is light on a light page, and dark on a dark one.
constexpr double strong_from = 0.7;
constexpr std::size_t half_width_columns = 10;
constexpr std::size_t name_characters = 18;
// What is shown of a larger map, and how many cells have an element each, with their counts to point at.
constexpr std::size_t most_rows = 100;
constexpr std::size_t most_columns = 256;
constexpr std::size_t most_elements = 1200;

std::string name_of(const HeatMap& map, std::size_t row) {
  return map.row_names.empty() ? fmt::format("{}", row) : map.row_names[row];
}

struct Layout {
  std::size_t rows = 0;
  std::size_t columns = 0;
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
  std::int64_t largest = 0;
  Layout layout;
  layout.rows = std::min(map.counts.size(), most_rows);
  layout.columns = std::min(map.counts.front().size(), most_columns);
  const auto columns = static_cast<double>(layout.columns);
  for (const auto& row : map.counts) {
    const std::int64_t count = std::ranges::max(row);
    largest = std::max(largest, count);
    if (count > 0)
      layout.largest_share = std::max(layout.largest_share, static_cast<double>(count) / sum_of(row));
  }
  layout.width = layout.columns > half_width_columns ? 900 : 440;
  double names = text_width(fmt::format("{}", layout.rows - 1));
  for (const std::string& name : map.row_names)
    names = std::max(names, text_width(shortened(name, name_characters)));
  layout.left = names + 14;
  layout.cell_width = (layout.width - layout.left - 4) / columns;
  layout.has_counts = text_width(fmt::format("{}", largest)) + 2 <= layout.cell_width;
  layout.cell_height = layout.rows > 30 ? 12 : 22;
  layout.label_every =
      static_cast<std::size_t>(std::ceil((text_width(fmt::format("{}", columns - 1)) + 4) / layout.cell_width));
  return layout;
}

double strength_of(const Layout& layout, std::int64_t count, double sum) {
  return count > 0 ? static_cast<double>(count) / sum / layout.largest_share : 0;
}

void draw_name(Svg& svg, const HeatMap& map, const Layout& layout, std::size_t row) {
  if (layout.cell_height > 13 || row % 2 == 0) {
    svg.text(layout.left - 6, layout.top + layout.cell_height * (static_cast<double>(row) + 0.5) + 4,
             "tick end", shortened(name_of(map, row), name_characters));
  }
}

void draw_row(Svg& svg, const HeatMap& map, const Layout& layout, std::size_t row) {
  const auto& counts = map.counts[row];
  const double sum = sum_of(counts);
  const double y = layout.top + layout.cell_height * static_cast<double>(row);
  const std::string name = name_of(map, row);
  draw_name(svg, map, layout, row);
  for (std::size_t column = 0; column < layout.columns; ++column) {
    const double share = sum > 0 ? static_cast<double>(counts[column]) / sum : 0;
    const double strength = strength_of(layout, counts[column], sum);
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

// Of a map of many cells: their colours, and of each row, to point at, where most of it is.
void draw_levels(Svg& svg, const HeatMap& map, const Layout& layout) {
  LevelCells cells(layout.cell_width, layout.cell_height);
  for (std::size_t row = 0; row < layout.rows; ++row) {
    const double sum = sum_of(map.counts[row]);
    for (std::size_t column = 0; column < layout.columns; ++column) {
      cells.add(layout.left + layout.cell_width * static_cast<double>(column),
                layout.top + layout.cell_height * static_cast<double>(row),
                strength_of(layout, map.counts[row][column], sum));
    }
  }
  cells.draw(svg);
  for (std::size_t row = 0; row < layout.rows; ++row) {
    const auto& counts = map.counts[row];
    const auto most = std::ranges::max_element(counts);
    draw_name(svg, map, layout, row);
    svg.element("rect",
                {{"class", "row"},
                 {"x", layout.left},
                 {"y", layout.top + layout.cell_height * static_cast<double>(row)},
                 {"width", layout.width - layout.left - 4},
                 {"height", layout.cell_height}},
                fmt::format("{} {}: most, {} of {:.0f}, {} {}", map.row_label, name_of(map, row), *most,
                            sum_of(counts), map.column_label, most - counts.begin()));
  }
}

}  // namespace

Figure draw(const HeatMap& map) {
  if (map.counts.empty() || map.counts.front().empty()) return {map.title, {}, "", "Nothing was recorded."};
  const Layout layout = layout_of(map);
  Svg svg(layout.width, layout.top + static_cast<double>(layout.rows) * layout.cell_height + 4,
          fmt::format("{}: {} by {}", map.title, map.row_label, map.column_label));
  svg.text(2, 13, "label", fmt::format("{} ↓  {} →", map.row_label, map.column_label));
  for (std::size_t column = 0; column < layout.columns; column += layout.label_every) {
    svg.text(layout.left + layout.cell_width * (static_cast<double>(column) + 0.5), layout.top - 7,
             "tick middle", fmt::format("{}", column));
  }
  if (layout.rows * layout.columns > most_elements) {
    draw_levels(svg, map, layout);
  } else {
    for (std::size_t row = 0; row < layout.rows; ++row) draw_row(svg, map, layout, row);
  }
  const bool whole = layout.width > 440;
  std::string note = fmt::format("{} The colour is the share of the row; the strongest is {}.", map.note,
                                 number_text(layout.largest_share, NumberStyle::percent));
  if (map.counts.size() > layout.rows)
    note += fmt::format(" The first {} of {} rows.", layout.rows, map.counts.size());
  if (map.counts.front().size() > layout.columns)
    note += fmt::format(" The first {} of {} columns.", layout.columns, map.counts.front().size());
  return {map.title, {}, svg.finish(), std::move(note), whole ? FigureWidth::whole : FigureWidth::half};
}

}  // namespace switchyard::report
