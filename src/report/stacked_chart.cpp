#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.hpp"

namespace switchyard::report {
namespace {

struct Layer {
  std::vector<double> below;  // per row
  std::vector<double> above;
};

std::vector<Layer> layers_of(const StackedChart& chart) {
  std::vector<Layer> layers(chart.names.size());
  for (const BinnedRows::Row& row : chart.rows) {
    double sum = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i].below.push_back(sum);
      if (std::isfinite(row.values[i])) sum += row.values[i];
      layers[i].above.push_back(sum);
    }
  }
  return layers;
}

double largest_sum(const std::vector<Layer>& layers) {
  return layers.empty() ? 0 : std::ranges::max(layers.back().above);
}

void draw_area(Svg& svg, const Frame& frame, const StackedChart& chart, std::size_t part, const Layer& layer) {
  std::vector<Point> outline;
  const std::size_t rows = chart.rows.size();
  for (std::size_t r = 0; r < rows; ++r) outline.push_back({frame.x(chart.rows[r].x), frame.y(layer.above[r])});
  for (std::size_t r = rows; r-- > 0;) outline.push_back({frame.x(chart.rows[r].x), frame.y(layer.below[r])});
  const double last = layer.above.back() - layer.below.back();
  svg.element("path", {{"class", "area " + colour_class(part)}, {"d", path_data(outline) + "Z"}},
              fmt::format("{}: {} at {}", chart.names[part], number_text(last, chart.y_style),
                          number_text(chart.rows.back().x)));
  // Beside the last value, where the area is high enough for a line of text.
  const double height = frame.y(layer.below.back()) - frame.y(layer.above.back());
  if (height < 13) return;
  const double middle = (frame.y(layer.below.back()) + frame.y(layer.above.back())) / 2;
  svg.text(frame.right + 6, middle + 4, "label", chart.names[part]);
}

void draw_bars(Svg& svg, const Frame& frame, const StackedChart& chart, std::size_t part, const Layer& layer) {
  for (std::size_t r = 0; r < chart.rows.size(); ++r) {
    const double left = frame.x(chart.rows[r].first - 0.5);
    const double right = frame.x(chart.rows[r].last + 0.5);
    const double top = frame.y(layer.above[r]);
    const double height = frame.y(layer.below[r]) - top;
    if (height <= 0) continue;
    svg.element("rect",
                {{"class", "area " + colour_class(part)},
                 {"x", left + 0.5},
                 {"y", top},
                 {"width", std::max(right - left - 1, 0.5)},
                 {"height", height}},
                fmt::format("{}: {} from {} to {}", chart.names[part],
                            number_text(layer.above[r] - layer.below[r], chart.y_style),
                            number_text(chart.rows[r].first), number_text(chart.rows[r].last)));
  }
}

// One row has no width: it is drawn as if it lasted from half before to half behind.
StackedChart with_width(StackedChart chart) {
  if (chart.form == StackForm::bars || chart.rows.size() != 1) return chart;
  chart.rows.push_back(chart.rows.front());
  chart.rows.front().x -= 0.5;
  chart.rows.back().x += 0.5;
  return chart;
}

}  // namespace

Figure draw(const StackedChart& given) {
  if (given.rows.empty() || given.names.empty()) return {given.title, {}, "", "Nothing was recorded."};
  const StackedChart chart = with_width(given);
  const bool areas = chart.form == StackForm::area;
  const std::vector<Layer> layers = layers_of(chart);
  FrameSize size{440, 270};
  if (areas) {
    for (const std::string& name : chart.names)
      size.right_room = std::max(size.right_room, text_width(name) + 8);
  }
  const double begin = areas ? chart.rows.front().x : chart.rows.front().first - 0.5;
  const double end = areas ? chart.rows.back().x : chart.rows.back().last + 0.5;
  const double high = chart.whole_is_one ? 1 : largest_sum(layers);
  Svg svg(size.width, size.height, fmt::format("{}: {} over {}", chart.title, chart.y_label, chart.x_label));
  const Ticks x = ticks_within({begin, end}, 6, TickKind::whole);
  const Frame frame =
      draw_frame(svg, size, {chart.x_label, x}, {chart.y_label, nice_ticks({0, high}, 5), chart.y_style});
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    areas ? draw_area(svg, frame, chart, i, layers[i]) : draw_bars(svg, frame, chart, i, layers[i]);
    legend.push_back({chart.names[i], i, KeyShape::area});
  }
  return {chart.title, std::move(legend), svg.finish(), chart.note};
}

}  // namespace switchyard::report
