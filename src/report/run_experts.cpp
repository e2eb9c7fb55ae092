#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/run_sections.hpp"

namespace switchyard::report {
namespace {

// What experts are counted against: a member of an evaluation.
struct RowTable {
  std::string_view member;
  std::string_view title;
  std::string_view row;
  std::string_view names = {};  // the member with its rows' names
};
constexpr RowTable class_table = {"class_by_expert", "True class by expert", "true class", "classes"};
constexpr RowTable predicted_table = {"class_by_expert_predicted", "Predicted class by expert",
                                      "predicted class", "classes"};
constexpr RowTable cluster_table = {"cluster_by_expert", "Cluster by expert", "cluster", "clusters"};
constexpr RowTable domain_table = {"domain_by_expert", "Domain by expert", "domain", "domains"};

Figure row_map(const Records& records, const RowTable& table) {
  const Found found = find_evaluation(records, table.member);
  HeatMap map;
  map.title = found.of.empty() ? std::string(table.title) : fmt::format("{} ({})", table.title, found.of);
  map.row_label = table.row;
  map.column_label = "expert with the largest weight";
  map.counts = counts_of(found.object, table.member);
  map.note = records.of_layer() ? "Tokens." : "Samples.";
  map.row_names = strings_of(found.object, table.names);
  if (map.row_names.size() != map.counts.size()) map.row_names.clear();
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
// largest value is ln of their count.
Figure dispatch_chart(const Records& records) {
  LineChart chart = step_chart(records, "Dispatch entropy", "nats");
  chart.curves = {training_curve(records, "dispatch_entropy", "training batches", 0),
                  validation_curve(records, "dispatch_entropy", "validation", 1)};
  const std::string_view table = (records.of_layer() ? domain_table : cluster_table).member;
  if (const std::size_t kinds = counts_of(find_evaluation(records, table).object, table).size(); kinds > 1) {
    const double most = std::log(static_cast<double>(kinds));
    chart.reference = ReferenceLine{most, fmt::format("ln {} = {:.3f}", kinds, most)};
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
  std::vector<Figure> figures = share_figures(records);
  // A model of numbers has no classes; of a run that has only begun it is not known yet.
  const bool begun = records.steps.records > 0;
  const auto add_recorded = [&](Figure figure) {
    if (!begun || !figure.svg.empty()) figures.push_back(std::move(figure));
  };
  add_recorded(row_map(records, records.of_layer() ? domain_table : class_table));
  if (!find_evaluation(records, predicted_table.member).object.is_null())
    figures.push_back(row_map(records, predicted_table));
  if (!find_evaluation(records, cluster_table.member).object.is_null())
    figures.push_back(row_map(records, cluster_table));
  std::ranges::move(mixing_figures(records), std::back_inserter(figures));
  figures.push_back(draw(bits_chart(records, "Entropies of the gate", {{{"h_s", "H_s"}, {"h_u", "H_u"}}})));
  if (!records.of_layer()) {
    add_recorded(draw(bits_chart(records, "Mutual information of expert and class",
                                 {{{"mi_predicted", "predicted"}, {"mi_true", "true"}}})));
  }
  const bool has_dispatch = records.steps.scalars.contains("dispatch_entropy");
  if (has_dispatch || std::isfinite(number_of(member(records.summary, "test"), "dispatch_entropy"))) {
    figures.push_back(dispatch_chart(records));
  }
  if (records.steps.scalars.contains("dropped") || !find_evaluation(records, "dropped").object.is_null())
    figures.push_back(dropped_chart(records));
  return figure_grid(figures) + expert_table(records);
}

}  // namespace switchyard::report
