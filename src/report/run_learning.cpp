#include <fmt/format.h>

#include <algorithm>

#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

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

LineChart loss_chart(const RunData& run) {
  LineChart chart = step_chart(run, "Loss", fmt::format("loss ({})", run.loss_unit()));
  chart.curves.push_back(training_curve(run, "loss", "training", 0));
  const auto parts = loss_parts(run.steps);
  // One part alone is the loss itself.
  if (parts.size() > 1) {
    std::size_t colour = 2;
    for (const std::string& part : parts) {
      const Stroke stroke = colour % 2 == 0 ? Stroke::dashed : Stroke::dotted;
      chart.curves.push_back(training_curve(run, part, metric_label(part), colour++, stroke));
    }
  }
  chart.curves.push_back(validation_curve(run, "task_loss", "validation", 1));
  return chart;
}

// What is not the loss, of classes and of numbers.
struct Score {
  std::string_view name;
  std::string_view title;
  std::string_view y_label;
};
constexpr Score scores[] = {{"error", "Error", "share of wrong predictions"},
                            {"mean_squared_error", "Mean squared error", "mean squared error"},
                            {"r2", "R²", "share of the variance"}};

LineChart score_chart(const RunData& run, const Score& score) {
  LineChart chart = step_chart(run, std::string(score.title), std::string(score.y_label));
  chart.y_style = style_of(score.name);
  chart.curves = {training_curve(run, score.name, "training batches", 0),
                  validation_curve(run, score.name, "validation", 1)};
  return chart;
}

}  // namespace

LineChart step_chart(const Records& records, std::string title, std::string y_label) {
  LineChart chart;
  chart.title = std::move(title);
  chart.x_label = "step";
  chart.y_label = std::move(y_label);
  const auto& series = records.steps.scalars;
  const auto loss = series.contains("loss") ? series.find("loss") : series.begin();  // a layer has no loss
  const index_t steps = loss == series.end() ? 1 : loss->second.records_per_bin();
  if (steps > 1) chart.note = fmt::format("Steps are shown as means of {} neighbouring ones.", steps);
  return chart;
}

Curve training_curve(const Records& records, std::string_view name, std::string label, std::size_t colour,
                     Stroke stroke) {
  return {std::move(label), records.steps.points(name), colour, stroke, false, {}};
}

Curve validation_curve(const Records& records, std::string_view name, std::string label, std::size_t colour) {
  std::vector<Point> points;
  for (const Json& record : records.evaluations) {
    const double value = number_of(record, name);
    if (string_of(record, "split") == "validation" && value == value)
      points.push_back({number_of(record, "step"), value});
  }
  return {std::move(label), std::move(points), colour, Stroke::solid, true, {}};
}

std::string run_learning(const RunData& run) {
  std::vector<Figure> figures = {draw(loss_chart(run))};
  for (const Score& score : scores) {
    Figure figure = draw(score_chart(run, score));
    if (!figure.svg.empty()) figures.push_back(std::move(figure));
  }
  return figure_grid(figures);
}

}  // namespace switchyard::report
