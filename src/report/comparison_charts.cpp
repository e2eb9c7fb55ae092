#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.hpp"
#include "report/comparison.hpp"
#include "report/html.hpp"
#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

using RecordsOfRuns = std::vector<const Records*>;  // null: the run has none

// A figure over steps, of training batches and of the validation split.
struct Series {
  std::string_view in_steps;  // the member of a step record; empty: they have none
  std::string_view in_evaluations;
  std::string_view title;
  std::string_view y_label;
  bool of_experts = false;  // its largest value is log2 of their number
};
constexpr Series learning_series[] = {
    {"task_loss", "loss", "Loss", ""},  // in the unit of the runs
    {"error", "error", "Error", "share of wrong predictions"},
    {"mean_squared_error", "mean_squared_error", "Mean squared error", "mean squared error"},
    {"r2", "r2", "R²", "share of the variance"},
};
constexpr Series expert_series[] = {
    {"h_s", "h_s", "H_s", "bits, of a sample's gate weights", true},
    {"h_u", "h_u", "H_u", "bits, of the usage of the experts", true},
    {"mi_predicted", "mi_predicted", "I(E;Y), predicted class", "bits"},
    {"mi_true", "mi_true", "I(E;Y), true class", "bits"},
    {"dispatch_entropy", "dispatch_entropy", "Dispatch entropy", "nats"},
    {"dropped", "dropped", "Slots without a place", "share of the slots"},
};

Curve curve_of_run(const Comparison& comparison, std::size_t run, std::vector<Point> points) {
  constexpr Stroke strokes[] = {Stroke::solid, Stroke::dashed, Stroke::dotted};
  return {comparison.names[run], std::move(points), run, strokes[run / colour_count], false, {}};
}

LineChart chart_of(std::string title, std::string x_label, std::string_view y_label, std::string_view metric) {
  LineChart chart;
  chart.title = std::move(title);
  chart.x_label = std::move(x_label);
  chart.y_label = y_label;
  chart.y_style = style_of(metric);
  return chart;
}

// One kind of expert counts for all runs, or there is no common bound.
void add_bound(const RecordsOfRuns& runs, LineChart& chart) {
  index_t experts = 0;
  for (const Records* records : runs) {
    if (records == nullptr || records->experts() == 0) continue;
    if (experts != 0 && records->experts() != experts) return;
    experts = records->experts();
  }
  if (experts < 2) return;
  const double most = std::log2(static_cast<double>(experts));
  chart.reference = ReferenceLine{most, fmt::format("log₂ {} = {:.3f}", experts, most)};
}

enum class From { training, validation };

// Nothing where fewer than two runs have it: there is nothing to compare.
void add_chart(const Comparison& comparison, const RecordsOfRuns& runs, const Series& series, From from,
               std::vector<Figure>& figures) {
  const bool training = from == From::training;
  const std::string_view metric = training ? series.in_steps : series.in_evaluations;
  LineChart chart = chart_of(fmt::format("{}, {}", series.title, training ? "training batches" : "validation"),
                             "step", series.y_label, metric);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    if (runs[run] == nullptr) continue;
    Curve curve = curve_of_run(
        comparison, run,
        training ? runs[run]->steps.points(metric) : validation_curve(*runs[run], metric, "", 0).points);
    curve.dots = !training;
    if (!curve.points.empty()) chart.curves.push_back(std::move(curve));
  }
  if (chart.curves.size() < 2) return;
  if (series.of_experts) add_bound(runs, chart);
  figures.push_back(draw(std::move(chart)));
}

// The experts of a run by their share, the most used one first: what is called expert 0 in one run has nothing
// to do with that of another.
void add_usage(const Comparison& comparison, const RecordsOfRuns& runs, std::string_view metric,
               std::string_view meaning, std::vector<Figure>& figures) {
  LineChart chart =
      chart_of(fmt::format("Usage, {}", meaning), "experts, the most used one first", "share", "share");
  for (std::size_t run = 0; run < runs.size(); ++run) {
    if (runs[run] == nullptr) continue;
    std::vector<double> share = numbers_of(find_evaluation(*runs[run], metric).object, metric);
    std::erase_if(share, [](double value) { return !std::isfinite(value); });
    std::ranges::sort(share, std::greater());
    if (share.size() < 2) continue;  // a single expert has all
    std::vector<Point> points;
    for (std::size_t e = 0; e < share.size(); ++e) points.push_back({static_cast<double>(e + 1), share[e]});
    Curve curve = curve_of_run(comparison, run, std::move(points));
    curve.dots = share.size() <= 64;
    chart.curves.push_back(std::move(curve));
  }
  if (chart.curves.size() >= 2) figures.push_back(draw(std::move(chart)));
}

std::vector<Figure> expert_figures(const Comparison& comparison, const RecordsOfRuns& runs) {
  std::vector<Figure> figures;
  add_usage(comparison, runs, "expert_share", "largest weight", figures);
  add_usage(comparison, runs, "importance_share", "mean gate weight", figures);
  for (const Series& series : expert_series) {
    const std::size_t before = figures.size();
    add_chart(comparison, runs, series, From::validation, figures);
    if (figures.size() == before) add_chart(comparison, runs, series, From::training, figures);
  }
  return figures;
}

std::string loss_unit(const std::vector<RunData>& runs) {
  std::string unit = runs.front().loss_unit();
  const bool common = std::ranges::all_of(runs, [&](const RunData& run) { return run.loss_unit() == unit; });
  return common ? unit : "in the unit of each run";
}

RecordsOfRuns whole_models(const Comparison& comparison) {
  RecordsOfRuns records;
  for (const RunData& run : comparison.runs) records.push_back(&run);
  return records;
}

}  // namespace

std::string comparison_learning(const Comparison& comparison) {
  const RecordsOfRuns runs = whole_models(comparison);
  const std::string unit = loss_unit(comparison.runs);
  std::vector<Figure> figures;
  for (Series series : learning_series) {
    if (series.y_label.empty()) series.y_label = unit;
    add_chart(comparison, runs, series, From::training, figures);
    add_chart(comparison, runs, series, From::validation, figures);
  }
  if (figures.empty()) return "";
  std::string note =
      "The loss of training batches is that of model.loss without regularisers, averaged to at most 400 points a run; "
      "that of the validation split is -log p, or the mean squared error in the units of the data.";
  const auto batch_of = [](const RunData& run) { return run.setting("train.batch_size"); };
  if (std::ranges::any_of(comparison.runs, [&](const RunData& run) {
        return batch_of(run) != batch_of(comparison.runs.front());
      }))
    note += " Batches differ in size: a step is not of as many samples in each run.";
  return figure_grid(figures) + fmt::format("<p class=\"note\">{}</p>\n", note);
}

std::string comparison_experts(const Comparison& comparison) {
  const std::vector<Figure> figures = expert_figures(comparison, whole_models(comparison));
  return figures.empty() ? "" : figure_grid(figures);
}

std::string comparison_layers(const Comparison& comparison) {
  std::vector<std::string> names;
  for (const RunData& run : comparison.runs) {
    for (const Records& layer : run.layers) {
      if (std::ranges::find(names, layer.name) == names.end()) names.push_back(layer.name);
    }
  }
  std::string html;
  for (std::size_t i = 0; i < names.size(); ++i) {
    RecordsOfRuns records;
    for (const RunData& run : comparison.runs) {
      const auto layer = std::ranges::find(run.layers, names[i], &Records::name);
      records.push_back(layer == run.layers.end() ? nullptr : &*layer);
    }
    const std::vector<Figure> figures = expert_figures(comparison, records);
    if (!figures.empty())
      html += section_html(fmt::format("experts-{}", i), fmt::format("Experts of {}", names[i]),
                           figure_grid(figures));
  }
  return html;
}

}  // namespace switchyard::report
