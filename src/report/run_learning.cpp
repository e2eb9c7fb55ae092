#include <fmt/format.h>

#include <algorithm>

#include "report/line_chart.hpp"
#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

std::string readable(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : c;
  return name;
}

// Any member of a step record that ends in _loss is a part of `loss`.
std::vector<std::string> loss_parts(const StepSeries& steps) {
  std::vector<std::string> parts;
  for (const auto& [name, series] : steps.scalars) {
    if (!name.ends_with("_loss")) continue;
    const auto points = steps.points(name);
    // A regulariser that is off is a line at 0.
    const bool all_zero = std::ranges::all_of(points, [](const Point& point) { return point.y == 0; });
    if (!all_zero) parts.push_back(name);
  }
  return parts;
}

Curve validation_curve(const RunData& run, std::string_view name) {
  return {"validation", evaluation_points(run, "validation", name), 1, Stroke::solid, true, {}};
}

LineChart loss_chart(const RunData& run) {
  LineChart chart;
  chart.title = "Loss";
  chart.x_label = "step";
  chart.y_label = "loss (nats)";
  chart.note = binning_note(run);
  chart.curves.push_back({"training", run.steps.points("loss"), 0, Stroke::solid, false, {}});
  const auto parts = loss_parts(run.steps);
  // One part alone is the loss itself.
  if (parts.size() > 1) {
    std::size_t colour = 2;
    for (const std::string& part : parts) {
      const Stroke stroke = colour % 2 == 0 ? Stroke::dashed : Stroke::dotted;
      chart.curves.push_back({readable(part), run.steps.points(part), colour++, stroke, false, {}});
    }
  }
  chart.curves.push_back(validation_curve(run, "task_loss"));
  return chart;
}

LineChart error_chart(const RunData& run) {
  LineChart chart;
  chart.title = "Error";
  chart.x_label = "step";
  chart.y_label = "share of wrong predictions";
  chart.y_style = NumberStyle::percent;
  chart.note = binning_note(run);
  chart.curves.push_back({"training batches", run.steps.points("error"), 0, Stroke::solid, false, {}});
  chart.curves.push_back(validation_curve(run, "error"));
  return chart;
}

void drop_empty_curves(LineChart& chart) {
  std::erase_if(chart.curves, [](const Curve& curve) { return curve.points.empty(); });
}

}  // namespace

std::string binning_note(const RunData& run) {
  const auto loss = run.steps.scalars.find("loss");
  if (loss == run.steps.scalars.end() || loss->second.records_per_bin() == 1) return "";
  return fmt::format("Steps are shown as means of {} neighbouring ones.", loss->second.records_per_bin());
}

std::vector<Point> evaluation_points(const RunData& run, std::string_view split, std::string_view name) {
  std::vector<Point> points;
  for (const Json& record : run.evaluations) {
    const double value = number_of(record, name);
    if (string_of(record, "split") == split && value == value)
      points.push_back({number_of(record, "step"), value});
  }
  return points;
}

std::string run_learning(const RunData& run) {
  LineChart loss = loss_chart(run);
  LineChart error = error_chart(run);
  drop_empty_curves(loss);
  drop_empty_curves(error);
  return figure_grid({draw(loss), draw(error)});
}

}  // namespace switchyard::report
