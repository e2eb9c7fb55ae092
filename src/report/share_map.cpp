#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.hpp"
#include "report/level_cells.hpp"

namespace switchyard::report {
namespace {

constexpr index_t most_columns = 60;
constexpr std::size_t most_rows = 256;
constexpr double width = 900;
constexpr double top = 44;

struct Layout {
  std::size_t rows = 0;
  double left = 0;
  double cell_width = 0;
  double cell_height = 0;
  double largest = 0;
};

Layout layout_of(const std::vector<BinnedRows::Row>& columns) {
  Layout layout;
  layout.rows = std::min(columns.front().values.size(), most_rows);
  layout.left = text_width(fmt::format("{}", layout.rows - 1)) + 14;
  layout.cell_width = (width - layout.left - 4) / static_cast<double>(columns.size());
  layout.cell_height = layout.rows <= 32 ? 14 : layout.rows <= 64 ? 9 : 6;
  for (const BinnedRows::Row& column : columns) {
    for (std::size_t row = 0; row < layout.rows; ++row)
      layout.largest = std::max(layout.largest, column.values[row]);
  }
  if (!(layout.largest > 0)) layout.largest = 1;
  return layout;
}

void draw_cells(Svg& svg, const Layout& layout, const std::vector<BinnedRows::Row>& columns) {
  LevelCells cells(layout.cell_width, layout.cell_height);
  for (std::size_t column = 0; column < columns.size(); ++column) {
    for (std::size_t row = 0; row < layout.rows; ++row) {
      cells.add(layout.left + layout.cell_width * static_cast<double>(column),
                top + layout.cell_height * static_cast<double>(row),
                columns[column].values[row] / layout.largest);
    }
  }
  cells.draw(svg);
}

// The row's name, where there is room for it, and what a pointer finds there.
void draw_row(Svg& svg, const ShareMap& map, const Layout& layout, const std::vector<BinnedRows::Row>& columns,
              std::size_t row) {
  const double y = top + layout.cell_height * static_cast<double>(row);
  const auto every = static_cast<std::size_t>(std::ceil(13 / layout.cell_height));
  if (row % every == 0)
    svg.text(layout.left - 6, y + layout.cell_height / 2 + 4, "tick end", fmt::format("{}", row));
  Range span;
  for (const BinnedRows::Row& column : columns) span.add(column.values[row]);
  const auto share_text = [](double share) { return number_text(share, NumberStyle::percent); };
  svg.element("rect",
              {{"class", "row"},
               {"x", layout.left},
               {"y", y},
               {"width", width - layout.left - 4},
               {"height", layout.cell_height}},
              fmt::format("{} {}: {} at {}, {} at {}; from {} to {}", map.row_label, row,
                          share_text(columns.front().values[row]), number_text(std::round(columns.front().x)),
                          share_text(columns.back().values[row]), number_text(std::round(columns.back().x)),
                          share_text(span.low), share_text(span.high)));
}

void draw_column_labels(Svg& svg, const Layout& layout, const std::vector<BinnedRows::Row>& columns) {
  double free_from = -1e9;
  for (std::size_t column = 0; column < columns.size(); ++column) {
    const std::string label = number_text(std::round(columns[column].x));
    const double place = layout.left + layout.cell_width * (static_cast<double>(column) + 0.5);
    const double half = text_width(label) / 2;
    if (place - half < free_from || place + half > width) continue;
    svg.text(place, top - 7, "tick middle", label);
    free_from = place + half + 8;
  }
}

}  // namespace

Figure draw(const ShareMap& map) {
  BinnedRows merged(most_columns);
  for (const BinnedRows::Row& column : map.columns) merged.add(column.x, column.values);
  const std::vector<BinnedRows::Row> columns = merged.means();
  if (columns.empty() || columns.front().values.empty()) return {map.title, {}, "", "Nothing was recorded."};
  const Layout layout = layout_of(columns);
  Svg svg(width, top + layout.cell_height * static_cast<double>(layout.rows) + 4,
          fmt::format("{}: {} by {}", map.title, map.row_label, map.column_label));
  svg.text(2, 13, "label", fmt::format("{} ↓  {} →", map.row_label, map.column_label));
  draw_cells(svg, layout, columns);
  draw_column_labels(svg, layout, columns);
  for (std::size_t row = 0; row < layout.rows; ++row) draw_row(svg, map, layout, columns, row);
  const std::size_t all = columns.front().values.size();
  std::string note = fmt::format("The colour is the {}: the strongest is {}, an even share {}.",
                                 escape(map.meaning), number_text(layout.largest, NumberStyle::percent),
                                 number_text(1 / static_cast<double>(all), NumberStyle::percent));
  if (merged.records_per_bin() > 1)
    note += fmt::format(" A column is the mean of {} neighbouring ones.", merged.records_per_bin());
  if (all > layout.rows) note += fmt::format(" The first {} of {} rows.", layout.rows, all);
  return {map.title, {}, svg.finish(), std::move(note), FigureWidth::whole};
}

}  // namespace switchyard::report
