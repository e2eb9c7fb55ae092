#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
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

std::vector<BinnedRows::Row> shares_of_evaluations(const Records& records) {
  std::vector<BinnedRows::Row> rows;
  const auto experts = as_size(records.experts());
  for (const Json& record : records.evaluations) {
    std::vector<double> share = numbers_of(record, "expert_share");
    if (string_of(record, "split") != "validation" || share.size() != experts) continue;
    const double step = number_of(record, "step");
    rows.push_back({step, std::move(share), step, step});
  }
  return rows;
}

std::vector<BinnedRows::Row> shares_of_steps(const Records& records) {
  const auto sum_of = [](const BinnedRows::Row& bin) {
    return std::accumulate(bin.values.begin(), bin.values.end(), 0.0);
  };
  std::vector<BinnedRows::Row> rows = records.steps.load.means();
  std::erase_if(rows, [&](const BinnedRows::Row& bin) { return !(sum_of(bin) > 0); });
  for (BinnedRows::Row& bin : rows) {
    const double sum = sum_of(bin);
    for (double& part : bin.values) part /= sum;
  }
  return rows;
}

StackedChart share_chart(const Records& records) {
  StackedChart chart;
  chart.title = "Share of the experts";
  chart.y_style = NumberStyle::percent;
  chart.whole_is_one = true;
  chart.rows = shares_of_evaluations(records);
  chart.x_label = "step";
  if (!chart.rows.empty()) {
    chart.y_label = fmt::format("share of the validation {}s", records.row_kind());
  } else {
    chart.rows = shares_of_steps(records);
    chart.y_label = fmt::format("share of the batch's {}s (load)", records.row_kind());
  }
  if (chart.rows.empty()) return chart;
  for (std::size_t e = 0; e < chart.rows.front().values.size(); ++e)
    chart.names.push_back(fmt::format("expert {}", e));
  merge_small_parts(chart);
  return chart;
}

BarChart usage_chart(const Records& records) {
  BarChart chart;
  chart.title = "Usage of the experts";
  chart.x_label = "share";
  for (const auto& [name, meaning] :
       {std::pair{"expert_share", "largest weight"}, std::pair{"importance_share", "mean gate weight"}}) {
    const Found found = find_evaluation(records, name);
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

// What experts are counted against: a member of an evaluation.
struct RowTable {
  std::string_view member;
  std::string_view title;
  std::string_view row;
  std::string_view names = {};                                      // the member with its rows' names
  std::size_t most_rows = std::numeric_limits<std::size_t>::max();  // of these, the first are shown
};
constexpr RowTable class_table = {"class_by_expert", "True class by expert", "true class"};
constexpr RowTable predicted_table = {"class_by_expert_predicted", "Predicted class by expert",
                                      "predicted class"};
constexpr RowTable domain_table = {"domain_by_expert", "Domain by expert", "domain", "domains", 100};

Figure row_map(const Records& records, const RowTable& table) {
  const Found found = find_evaluation(records, table.member);
  HeatMap map;
  map.title = found.of.empty() ? std::string(table.title) : fmt::format("{} ({})", table.title, found.of);
  map.row_label = table.row;
  map.column_label = "expert with the largest weight";
  map.counts = counts_of(found.object, table.member);
  map.note = records.of_layer() ? "Tokens." : "Samples.";
  const std::size_t rows = map.counts.size();
  map.row_names = strings_of(found.object, table.names);
  if (map.row_names.size() != rows) map.row_names.clear();
  if (rows > table.most_rows) {
    map.counts.resize(table.most_rows);
    if (!map.row_names.empty()) map.row_names.resize(table.most_rows);
    map.note += fmt::format(" The first {} of {} rows; all are in summary.json.", table.most_rows, rows);
  }
  return draw(map);
}

struct Metric {
  std::string_view name;
  std::string_view label;
};

LineChart bits_chart(const Records& records, std::string title, const std::array<Metric, 2>& metrics) {
  LineChart chart = step_chart(records, std::move(title), "bits");
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const auto& [name, label] = metrics[i];
    chart.curves.push_back(
        training_curve(records, name, fmt::format("{}, training batches", label), i, Stroke::dotted));
    chart.curves.push_back(validation_curve(records, name, fmt::format("{}, validation", label), i));
  }
  if (const index_t experts = records.experts(); experts > 1) {
    const double most = std::log2(static_cast<double>(experts));
    chart.reference = ReferenceLine{most, fmt::format("log₂ {} = {:.3f}", experts, most)};
  }
  return chart;
}

// How mixed the clusters or domains of the data are that reach an expert, where the run recorded it. Its
// largest value is ln of their count, which is not recorded of clusters.
Figure dispatch_chart(const Records& records) {
  LineChart chart = step_chart(records, "Dispatch entropy", "nats");
  chart.curves = {training_curve(records, "dispatch_entropy", "training batches", 0),
                  validation_curve(records, "dispatch_entropy", "validation", 1)};
  if (const std::size_t domains = strings_of(find_evaluation(records, "domains").object, "domains").size();
      domains > 1) {
    const double most = std::log(static_cast<double>(domains));
    chart.reference = ReferenceLine{most, fmt::format("ln {} = {:.3f}", domains, most)};
  }
  const std::string layer = records.of_layer() ? "." + records.name : "";
  std::string at_end;
  for (const std::string_view split : {"train", "test"}) {
    const double value = number_of(member(records.summary, split), "dispatch_entropy");
    if (!std::isfinite(value)) continue;
    at_end += fmt::format(
        "{} {}: {}. ", at_end.empty() ? "At the end," : "", split,
        data_element(value, NumberStyle::plain, fmt::format("final.{}{}.dispatch_entropy", split, layer)));
  }
  chart.note = at_end + chart.note;
  return draw(chart);
}

// Where the run limited what experts take.
Figure dropped_chart(const Records& records) {
  LineChart chart = step_chart(records, "Slots without a place", "share of the slots");
  chart.y_style = NumberStyle::percent;
  chart.curves = {training_curve(records, "dropped", "training batches", 0),
                  validation_curve(records, "dropped", "validation", 1)};
  return draw(chart);
}

}  // namespace

std::string run_experts(const Records& records) {
  std::vector<Figure> figures = {draw(share_chart(records)), draw(usage_chart(records)),
                                 row_map(records, records.of_layer() ? domain_table : class_table)};
  if (!find_evaluation(records, predicted_table.member).object.is_null())
    figures.push_back(row_map(records, predicted_table));
  figures.push_back(draw(bits_chart(records, "Entropies of the gate", {{{"h_s", "H_s"}, {"h_u", "H_u"}}})));
  if (!records.of_layer()) {
    figures.push_back(draw(bits_chart(records, "Mutual information of expert and class",
                                      {{{"mi_predicted", "predicted"}, {"mi_true", "true"}}})));
  }
  const bool has_dispatch = records.steps.scalars.contains("dispatch_entropy");
  if (has_dispatch || std::isfinite(number_of(member(records.summary, "test"), "dispatch_entropy"))) {
    figures.push_back(dispatch_chart(records));
  }
  if (records.steps.scalars.contains("dropped") || !find_evaluation(records, "dropped").object.is_null())
    figures.push_back(dropped_chart(records));
  return figure_grid(figures);
}

}  // namespace switchyard::report
