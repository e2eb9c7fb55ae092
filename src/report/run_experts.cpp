#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

constexpr std::size_t areas_shown = 7;  // and one for all others: as many as there are colours
constexpr std::size_t bars_shown = 64;

// Columns of more experts than there are colours: those with the largest sums stay, the others become one.
void merge_small_parts(StackedChart& chart) {
  const std::size_t experts = chart.names.size();
  if (experts <= colour_count) return;
  std::vector<double> sums(experts);
  for (const BinnedRows::Row& row : chart.rows) {
    for (std::size_t e = 0; e < experts; ++e) sums[e] += row.values[e];
  }
  std::vector<std::size_t> order(experts);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t e) { return sums[e]; });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < areas_shown; ++i) names.push_back(chart.names[order[i]]);
  names.push_back(fmt::format("other {}", experts - areas_shown));
  for (BinnedRows::Row& row : chart.rows) {
    std::vector<double> parts;
    for (std::size_t i = 0; i < areas_shown; ++i) parts.push_back(row.values[order[i]]);
    parts.push_back(0);
    for (std::size_t i = areas_shown; i < experts; ++i) parts.back() += row.values[order[i]];
    row.values = std::move(parts);
  }
  chart.names = std::move(names);
}

std::vector<BinnedRows::Row> shares_of_evaluations(const RunData& run) {
  std::vector<BinnedRows::Row> rows;
  const auto experts = as_size(run.experts());
  for (const Json& record : run.evaluations) {
    std::vector<double> share = numbers_of(record, "expert_share");
    if (string_of(record, "split") != "validation" || share.size() != experts) continue;
    const double epoch = number_of(record, "epoch");
    rows.push_back({epoch, std::move(share), epoch, epoch});
  }
  return rows;
}

std::vector<BinnedRows::Row> shares_of_steps(const RunData& run) {
  const auto sum_of = [](const BinnedRows::Row& bin) {
    return std::accumulate(bin.values.begin(), bin.values.end(), 0.0);
  };
  std::vector<BinnedRows::Row> rows = run.steps.load.means();
  std::erase_if(rows, [&](const BinnedRows::Row& bin) { return !(sum_of(bin) > 0); });
  for (BinnedRows::Row& bin : rows) {
    const double sum = sum_of(bin);
    for (double& part : bin.values) part /= sum;
  }
  return rows;
}

StackedChart share_chart(const RunData& run) {
  StackedChart chart;
  chart.title = "Share of the experts";
  chart.y_style = NumberStyle::percent;
  chart.whole_is_one = true;
  chart.rows = shares_of_evaluations(run);
  if (!chart.rows.empty()) {
    chart.x_label = "epoch";
    chart.y_label = "share of the validation samples";
  } else {
    chart.rows = shares_of_steps(run);
    chart.x_label = "step";
    chart.y_label = "share of the batch's samples (load)";
  }
  if (chart.rows.empty()) return chart;
  for (std::size_t e = 0; e < chart.rows.front().values.size(); ++e)
    chart.names.push_back(fmt::format("expert {}", e));
  merge_small_parts(chart);
  return chart;
}

BarChart usage_chart(const RunData& run) {
  BarChart chart;
  chart.title = "Usage of the experts";
  chart.x_label = "share";
  for (const auto& [name, meaning] :
       {std::pair{"expert_share", "largest weight"}, std::pair{"importance_share", "mean gate weight"}}) {
    const Found found = find_evaluation(run, name);
    std::vector<double> share = numbers_of(found.object, name);
    if (share.empty() || (!chart.series.empty() && share.size() != chart.series[0].values.size())) continue;
    chart.series.push_back({fmt::format("{} ({})", meaning, found.of), std::move(share)});
  }
  if (chart.series.empty()) return chart;
  const std::size_t experts = chart.series[0].values.size();
  for (std::size_t e = 0; e < std::min(experts, bars_shown); ++e)
    chart.row_names.push_back(fmt::format("{}", e));
  if (experts > bars_shown)
    chart.note = fmt::format("The first {} of {} experts; all are in summary.json.", bars_shown, experts);
  return chart;
}

Figure class_map(const RunData& run, std::string_view name, std::string_view title, std::string_view rows) {
  const Found found = find_evaluation(run, name);
  HeatMap map;
  map.title = found.of.empty() ? std::string(title) : fmt::format("{} ({})", title, found.of);
  map.row_label = rows;
  map.column_label = "expert with the largest weight";
  map.counts = counts_of(found.object, name);
  map.note = "Samples.";
  return draw(map);
}

struct Metric {
  std::string_view name;
  std::string_view label;
};

LineChart bits_chart(const RunData& run, std::string title, const std::array<Metric, 2>& metrics) {
  LineChart chart = step_chart(run, std::move(title), "bits");
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const auto& [name, label] = metrics[i];
    chart.curves.push_back(
        training_curve(run, name, fmt::format("{}, training batches", label), i, Stroke::dotted));
    chart.curves.push_back(validation_curve(run, name, fmt::format("{}, validation", label), i));
  }
  if (const index_t experts = run.experts(); experts > 1) {
    const double most = std::log2(static_cast<double>(experts));
    chart.reference = ReferenceLine{most, fmt::format("log₂ {} = {:.3f}", experts, most)};
  }
  return chart;
}

// How mixed the clusters of the data are that reach an expert, where the run recorded it. Its largest value, ln
// of the cluster count, is not recorded.
Figure dispatch_chart(const RunData& run) {
  LineChart chart = step_chart(run, "Dispatch entropy", "nats");
  chart.curves = {training_curve(run, "dispatch_entropy", "training batches", 0),
                  validation_curve(run, "dispatch_entropy", "validation", 1)};
  std::string at_end;
  for (const std::string_view split : {"train", "test"}) {
    const double value = number_of(member(run.summary, split), "dispatch_entropy");
    if (!std::isfinite(value)) continue;
    at_end +=
        fmt::format("{} {}: {}. ", at_end.empty() ? "At the end," : "", split,
                    data_element(value, NumberStyle::plain, fmt::format("final.{}.dispatch_entropy", split)));
  }
  chart.note = at_end + chart.note;
  return draw(chart);
}

}  // namespace

std::string run_experts(const RunData& run) {
  std::vector<Figure> figures = {draw(share_chart(run)), draw(usage_chart(run)),
                                 class_map(run, "class_by_expert", "True class by expert", "true class")};
  if (!find_evaluation(run, "class_by_expert_predicted").object.is_null()) {
    figures.push_back(
        class_map(run, "class_by_expert_predicted", "Predicted class by expert", "predicted class"));
  }
  figures.push_back(draw(bits_chart(run, "Entropies of the gate", {{{"h_s", "H_s"}, {"h_u", "H_u"}}})));
  figures.push_back(draw(bits_chart(run, "Mutual information of expert and class",
                                    {{{"mi_predicted", "predicted"}, {"mi_true", "true"}}})));
  const bool has_dispatch = run.steps.scalars.contains("dispatch_entropy");
  if (has_dispatch || std::isfinite(number_of(member(run.summary, "test"), "dispatch_entropy"))) {
    figures.push_back(dispatch_chart(run));
  }
  return figure_grid(figures);
}

}  // namespace switchyard::report
