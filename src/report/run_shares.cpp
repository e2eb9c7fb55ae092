#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

constexpr std::size_t areas_shown = 7;  // and one for all others: as many as there are colours
constexpr std::size_t bars_shown = 64;

// What a part of the samples is: of what, by a step record and by an evaluation.
struct Share {
  std::string_view in_evaluations;
  BinnedRows StepSeries::*in_steps;
  std::string_view title;
  std::string_view of;        // "share of the validation samples"
  std::string_view of_steps;  // "share of the batch's samples"
};
constexpr Share of_weights = {"importance_share", &StepSeries::importance,
                              "Share of the experts, by gate weight", "share of the gate weights, validation",
                              "share of the batch's gate weights"};
constexpr Share of_samples = {"expert_share", &StepSeries::load, "Share of the experts",
                              "share of the validation {}s, by largest weight",
                              "share of the batch's {}s (load)"};

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

std::vector<BinnedRows::Row> shares_of_evaluations(const Records& records, std::string_view name) {
  std::vector<BinnedRows::Row> rows;
  const auto experts = as_size(records.experts());
  for (const Json& record : records.evaluations) {
    std::vector<double> share = numbers_of(record, name);
    if (string_of(record, "split") != "validation" || share.size() != experts) continue;
    const double step = number_of(record, "step");
    rows.push_back({step, std::move(share), step, step});
  }
  return rows;
}

std::vector<BinnedRows::Row> shares_of_steps(const BinnedRows& counts) {
  const auto sum_of = [](const BinnedRows::Row& bin) {
    return std::accumulate(bin.values.begin(), bin.values.end(), 0.0);
  };
  std::vector<BinnedRows::Row> rows = counts.means();
  std::erase_if(rows, [&](const BinnedRows::Row& bin) { return !(sum_of(bin) > 0); });
  for (BinnedRows::Row& bin : rows) {
    const double sum = sum_of(bin);
    for (double& part : bin.values) part /= sum;
  }
  return rows;
}

StackedChart share_chart(const Records& records, const Share& share) {
  StackedChart chart;
  chart.title = share.title;
  chart.y_style = NumberStyle::percent;
  chart.whole_is_one = true;
  chart.rows = shares_of_evaluations(records, share.in_evaluations);
  chart.x_label = "step";
  const bool evaluated = !chart.rows.empty();
  if (!evaluated) chart.rows = shares_of_steps(records.steps.*share.in_steps);
  chart.y_label = fmt::format(fmt::runtime(evaluated ? share.of : share.of_steps), records.row_kind());
  if (chart.rows.empty()) return chart;
  for (std::size_t e = 0; e < chart.rows.front().values.size(); ++e)
    chart.names.push_back(fmt::format("expert {}", e));
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

}  // namespace

std::vector<Figure> share_figures(const Records& records) {
  // Where every expert sees every sample its load says nothing: what tells experts apart is how much their
  // outputs weigh.
  const bool dense = records.steps.is_dense();
  StackedChart chart = share_chart(records, dense ? of_weights : of_samples);
  const bool many = chart.names.size() > as_size(colour_count);
  ShareMap map;
  if (many) {
    map = {fmt::format("{}, all of them", chart.title), "expert", "step", chart.rows, chart.y_label};
    merge_small_parts(chart);
  }
  std::vector<Figure> figures = {draw(chart), draw(usage_chart(records))};
  if (many) figures.push_back(draw(map));
  if (dense) {
    StackedChart largest = share_chart(records, of_samples);
    largest.title = "Share of the experts, by largest weight";
    merge_small_parts(largest);
    if (!shares_of_evaluations(records, of_samples.in_evaluations).empty()) figures.push_back(draw(largest));
  }
  return figures;
}

}  // namespace switchyard::report
