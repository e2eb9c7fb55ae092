// What each expert took: how classes (of text: domains) and experts are spread over each other.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/html.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

constexpr std::size_t bars_shown = 64;
constexpr std::size_t rows_unfolded = 12;
constexpr std::size_t kinds_named = 3;

// Counts of kinds of rows (classes, domains) by the expert with the largest weight.
struct Taken {
  std::vector<std::vector<double>> counts;  // [kinds][experts]
  std::vector<std::string> names;           // of the kinds
  std::string kind;                         // "class"
  std::string kinds;                        // "classes"
  std::string of;                           // "test"
  Json evaluation;
};

Taken taken_of(const Records& records) {
  Taken taken;
  const bool domains = records.of_layer();
  const std::string_view table = domains ? "domain_by_expert" : "class_by_expert";
  const Found found = find_evaluation(records, table);
  for (const auto& row : counts_of(found.object, table)) taken.counts.emplace_back(row.begin(), row.end());
  taken.names = strings_of(found.object, domains ? "domains" : "classes");
  if (taken.names.size() != taken.counts.size()) {
    taken.names.clear();
    for (std::size_t k = 0; k < taken.counts.size(); ++k) taken.names.push_back(fmt::format("{}", k));
  }
  taken.kind = domains ? "domain" : "class";
  taken.kinds = domains ? "domains" : "classes";
  taken.of = found.of;
  taken.evaluation = found.object;
  return taken;
}

std::vector<double> column_of(const Taken& taken, std::size_t expert) {
  std::vector<double> column;
  for (const auto& row : taken.counts) column.push_back(row[expert]);
  return column;
}

// exp(entropy) of the shares: among so many equal ones it would be as mixed. NaN of nothing.
double effective_number(const std::vector<double>& counts) {
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  if (!(sum > 0)) return std::nan("");
  double entropy = 0;
  for (const double count : counts) {
    if (count > 0) entropy -= count / sum * std::log(count / sum);
  }
  return std::exp(entropy);
}

BarChart bars(std::string title, std::string x_label, const std::vector<std::string>& names,
              const std::vector<double>& values, std::string_view of) {
  BarChart chart;
  chart.title = std::move(title);
  chart.x_label = std::move(x_label);
  chart.style = NumberStyle::plain;
  const std::size_t shown = std::min(names.size(), bars_shown);
  for (std::size_t i = 0; i < shown; ++i) chart.row_names.push_back(shortened(names[i], 18));
  chart.series.push_back({std::string(of), values});
  chart.note = "exp(entropy): 1 is all in one, and as many as there are is evenly spread.";
  if (names.size() > shown) chart.note += fmt::format(" The first {} of {}.", shown, names.size());
  return chart;
}

// "7 (48.12%), 5 (30.00%)": the kinds that are most of an expert's rows.
std::string largest_kinds(const Taken& taken, std::size_t expert) {
  const std::vector<double> column = column_of(taken, expert);
  const double sum = std::accumulate(column.begin(), column.end(), 0.0);
  std::vector<std::size_t> order(column.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t kind) { return column[kind]; });
  std::vector<std::string> parts;
  for (const std::size_t kind : order) {
    if (!(column[kind] > 0) || parts.size() == kinds_named) break;
    parts.push_back(fmt::format("{} ({:.0f}%)", taken.names[kind], 100 * column[kind] / sum));
  }
  return parts.empty() ? "–" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<Figure> mixing_figures(const Records& records) {
  const Taken taken = taken_of(records);
  if (taken.counts.empty() || taken.counts.front().size() < 2) return {};
  std::vector<std::string> experts;
  std::vector<double> of_kinds, of_experts;
  for (const auto& row : taken.counts) of_kinds.push_back(effective_number(row));
  for (std::size_t e = 0; e < taken.counts.front().size(); ++e) {
    experts.push_back(fmt::format("{}", e));
    of_experts.push_back(effective_number(column_of(taken, e)));
  }
  return {draw(bars(fmt::format("Over how many experts a {} is spread", taken.kind), "experts", taken.names,
                    of_kinds, taken.of)),
          draw(bars(fmt::format("Over how many {} an expert is spread", taken.kinds), taken.kinds, experts,
                    of_experts, taken.of))};
}

std::string expert_table(const Records& records) {
  const Taken taken = taken_of(records);
  if (taken.counts.empty() || taken.counts.front().size() < 2) return "";
  const Found weighed = find_evaluation(records, "importance_share");
  std::vector<double> weights;  // of the same samples
  if (weighed.of == taken.of) weights = numbers_of(weighed.object, "importance_share");
  Table table{{"expert", fmt::format("largest {}", taken.kinds), fmt::format("{}s", records.row_kind()),
               "share", "mean gate weight", fmt::format("{}, effective", taken.kinds)},
              {},
              2};
  double all = 0;
  for (const auto& row : taken.counts) all += std::accumulate(row.begin(), row.end(), 0.0);
  const std::size_t experts = taken.counts.front().size();
  for (std::size_t e = 0; e < experts; ++e) {
    const std::vector<double> column = column_of(taken, e);
    const double rows = std::accumulate(column.begin(), column.end(), 0.0);
    table.rows.push_back({fmt::format("{}", e), escape(largest_kinds(taken, e)), number_text(rows),
                          number_text(all > 0 ? rows / all : std::nan(""), NumberStyle::percent),
                          e < weights.size() ? number_text(weights[e], NumberStyle::percent) : "–",
                          number_text(effective_number(column))});
  }
  const std::string title = fmt::format("What each expert took ({}): {}s for which it has the largest weight",
                                        taken.of, records.row_kind());
  return experts > rows_unfolded ? details_html(title, table_html(table))
                                 : fmt::format("<h3>{}</h3>\n{}", escape(title), table_html(table));
}

}  // namespace switchyard::report
