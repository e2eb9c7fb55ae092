#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "report/charts.hpp"
#include "report/study_sections.hpp"

namespace switchyard::report {
namespace {

struct Series {
  std::string_view key;
  std::string_view title;
  std::string_view y_label;
};
constexpr Series all_series[] = {
    {"loss", "Loss", "loss"},
    {"error", "Error", "share of wrong predictions"},
    {"mean_squared_error", "Mean squared error", "mean squared error"},
    {"dispatch_entropy", "Dispatch entropy", "nats"},
};

// Per arm, of the runs that finished: one that broke off or diverged would bend the mean.
std::vector<std::vector<StepSeries>> read_steps(const StudyData& study, const std::filesystem::path& folder) {
  std::vector<std::vector<StepSeries>> steps;
  for (const StudyArm& arm : study.arms) {
    steps.emplace_back();
    for (const StudyRun& run : arm.runs) {
      const std::filesystem::path path = folder / run.folder;
      if (run.status == "finished" && is_run(path)) steps.back().push_back(read_run(path).steps);
    }
  }
  return steps;
}

LineChart arm_chart(const StudyData& study, const StudyArm& arm, std::size_t index, const Series& series,
                    const std::vector<StepSeries>& runs) {
  LineChart chart;
  chart.title = arm.title;
  chart.x_label = "step";
  chart.y_label = series.y_label;
  chart.y_style = style_of(series.key);
  chart.width = FigureWidth::small;
  std::vector<std::vector<Point>> points;
  for (const StepSeries& run : runs) {
    if (auto found = run.points(series.key); !found.empty()) points.push_back(std::move(found));
  }
  const std::string name = fmt::format("mean of {} {}", points.size(), points.size() == 1 ? "run" : "runs");
  Curve curve = mean_curve(points, name, index);
  if (!curve.points.empty()) chart.curves.push_back(std::move(curve));
  chart.mark_name = "published";
  for (const PublishedValue& value : study.published) {
    if (value.arm == arm.name && value.metric == series.key && value.step) {
      chart.marks.push_back({{*value.step, value.value}, value.standard_deviation});
    }
  }
  return chart;
}

// One vertical axis for all arms, so that their heights can be compared.
void share_range(std::vector<LineChart>& charts) {
  Range all;
  for (const LineChart& chart : charts) {
    const auto [low, high] = value_range(chart);
    all.add(low);
    all.add(high);
  }
  for (LineChart& chart : charts) chart.y_range = all;
}

}  // namespace

std::string study_spread(const StudyData& study) {
  std::vector<Figure> figures;
  for (const std::string& metric : study.metrics) {
    BoxPlot plot{metric, metric, style_of(metric), {}};
    for (const StudyArm& arm : study.arms) {
      BoxRow row{arm.title, {}, {}, std::nullopt};
      for (const StudyRun& run : arm.runs) {
        const auto found = run.metrics.find(metric);
        if (found == run.metrics.end() || !std::isfinite(found->second)) continue;
        row.values.push_back(found->second);
        row.value_names.push_back(fmt::format("{}, seed {:.0f}", arm.title, run.seed));
      }
      if (const PublishedValue* value = find_published(study.published, arm.name, metric))
        row.published = value->value;
      plot.rows.push_back(std::move(row));
    }
    figures.push_back(draw(plot));
  }
  return figure_grid(figures);
}

std::string study_differences(const StudyData& study) {
  std::vector<Figure> figures;
  for (const std::string& metric : study.metrics) {
    ForestPlot plot{metric, fmt::format("difference of {}", metric), style_of(metric), {}, ""};
    std::set<std::string> baselines;
    for (const StudyDifference& d : study.differences) {
      if (d.metric != metric) continue;
      baselines.insert(study.title_of(d.baseline));
      plot.rows.push_back({fmt::format("{} (n = {:.0f})", study.title_of(d.arm), d.n), d.mean, d.low, d.high});
    }
    if (plot.rows.empty()) continue;
    plot.note = "Arm minus ";
    for (const std::string& baseline : baselines)
      plot.note += escape(baseline) + (baseline == *baselines.rbegin() ? "" : " or ");
    plot.note += ", paired by seed: the mean, and the interval that study.json gives for it.";
    figures.push_back(draw(plot));
  }
  return figure_grid(figures);
}

std::string study_curves(const StudyData& study, const std::filesystem::path& folder) {
  const auto steps = read_steps(study, folder);
  std::string out;
  for (const Series& series : all_series) {
    std::vector<LineChart> charts;
    for (std::size_t a = 0; a < study.arms.size(); ++a) {
      LineChart chart = arm_chart(study, study.arms[a], a, series, steps[a]);
      if (!chart.curves.empty() || !chart.marks.empty()) charts.push_back(std::move(chart));
    }
    if (charts.empty()) continue;
    share_range(charts);
    std::vector<Figure> figures;
    for (const LineChart& chart : charts) figures.push_back(draw(chart));
    out += fmt::format("<h3>{}</h3>\n{}", series.title, figure_grid(figures));
  }
  if (out.empty()) return "";
  return "<p class=\"note\">Training batches of the finished runs; the band goes from the smallest to the "
         "largest run. Each run's steps are averaged to at most 400 points first.</p>\n" +
         out;
}

}  // namespace switchyard::report
