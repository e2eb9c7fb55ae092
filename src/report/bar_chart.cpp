#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.hpp"

namespace switchyard::report {

Figure draw(const BarChart& chart) {
  if (chart.row_names.empty() || chart.series.empty()) return {chart.title, {}, "", "Nothing was recorded."};
  Range values{0, 0};
  for (const BarSeries& series : chart.series) {
    for (const double value : series.values) values.add(value);
  }
  // Many rows are lower, so that they can be seen at once; a label still fits.
  const bool many = chart.row_names.size() > 16;
  const double bar_height = many ? 5 : 13;
  const double bars_height = bar_height * static_cast<double>(chart.series.size());
  RowFrameSize size{440, std::max(bars_height + (many ? 5 : 10), 14.0), chart.row_names.size()};
  constexpr double wide = 1.15;  // a font whose letters are wider than digits
  for (const std::string& name : chart.row_names) size.left = std::max(size.left, wide * text_width(name) + 10);
  Svg svg(size.width, row_frame_height(size), fmt::format("{}: {}", chart.title, chart.x_label));
  const Frame frame = draw_row_frame(svg, size, {chart.x_label, nice_ticks({0, values.high}, 5), chart.style});
  for (std::size_t row = 0; row < chart.row_names.size(); ++row) {
    const double top = frame.top + size.row_height * static_cast<double>(row);
    svg.text(frame.left - 6, top + size.row_height / 2 + 4, "tick end", chart.row_names[row]);
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const double value = chart.series[s].values[row];
      if (!std::isfinite(value)) continue;
      svg.element("rect",
                  {{"class", "area " + colour_class(s)},
                   {"x", frame.left},
                   {"y", top + (size.row_height - bars_height) / 2 + bar_height * static_cast<double>(s)},
                   {"width", std::max(frame.x(value) - frame.left, 0.5)},
                   {"height", bar_height - 1}},
                  fmt::format("{}, {}: {}", chart.row_names[row], chart.series[s].name,
                              number_text(value, chart.style)));
    }
  }
  std::vector<LegendEntry> legend;
  for (std::size_t s = 0; s < chart.series.size(); ++s)
    legend.push_back({chart.series[s].name, s, KeyShape::area});
  return {chart.title, std::move(legend), svg.finish(), chart.note};
}

}  // namespace switchyard::report
