#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/comparison.hpp"
#include "report/html.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

// A number of each run; NaN: it has none.
struct Row {
  std::string id;  // "test.error"
  std::string label;
  NumberStyle style = NumberStyle::plain;
  std::vector<double> values;
};

std::size_t runs_with(const Row& row) {
  return as_size(std::ranges::count_if(row.values, [](double value) { return std::isfinite(value); }));
}

// What is said of a split: by summary.json, or else by the newest record that metrics.jsonl has of it.
const Json& split_of(const RunData& run, std::string_view split) {
  const Json& stated = member(run.summary, split);
  if (stated.is_object()) return stated;
  const auto newest = std::find_if(run.evaluations.rbegin(), run.evaluations.rend(),
                                   [&](const Json& record) { return string_of(record, "split") == split; });
  return newest == run.evaluations.rend() ? stated : *newest;
}

// The numbers of a split that any run has, in the order in which they are written.
std::vector<Row> rows_of(const Comparison& comparison, std::string_view split) {
  std::vector<Row> rows;
  for (const RunData& run : comparison.runs) {
    const Json& evaluation = split_of(run, split);
    if (!evaluation.is_object()) continue;
    for (const auto& [name, value] : evaluation.items()) {
      const std::string id = fmt::format("{}.{}", split, name);
      if (!value.is_number() || name == "step" || name == "epoch") continue;
      if (std::ranges::find(rows, id, &Row::id) != rows.end()) continue;
      Row row{id, fmt::format("{} {}", split, metric_label(name)), style_of(name), {}};
      for (const RunData& each : comparison.runs) row.values.push_back(number_of(split_of(each, split), name));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

// By the checkpoint that the validation split called best: under whatever name that score goes.
std::vector<Row> best_rows(const Comparison& comparison) {
  std::vector<Row> rows;
  for (const RunData& run : comparison.runs) {
    const Json& best = member(run.summary, "best");
    if (!best.is_object()) continue;
    for (const auto& [name, value] : best.items()) {
      if (!value.is_number() || name == "step" || name == "epoch") continue;
      const std::string validation = "best.validation." + name;
      if (std::ranges::find(rows, validation, &Row::id) != rows.end()) continue;
      Row on_validation{validation, "best validation " + metric_label(name), style_of(name), {}};
      Row on_test{
          "best.test." + name, fmt::format("test {} of the best", metric_label(name)), style_of(name), {}};
      for (const RunData& each : comparison.runs) {
        const Json& of = member(each.summary, "best");
        on_validation.values.push_back(number_of(of, name));
        on_test.values.push_back(number_of(member(of, "test"), name));
      }
      rows.push_back(std::move(on_validation));
      rows.push_back(std::move(on_test));
    }
  }
  return rows;
}

std::vector<Row> run_rows(const Comparison& comparison) {
  std::vector<Row> rows = {{"steps", "steps", NumberStyle::plain, {}},
                           {"parameters", "parameters", NumberStyle::plain, {}},
                           {"seconds", "seconds of training steps", NumberStyle::plain, {}},
                           {"train.samples_per_second", "samples or tokens a second", NumberStyle::plain, {}}};
  for (const RunData& run : comparison.runs) {
    const std::vector<double>& phases = run.steps.phase_totals;
    const double steps = number_of(run.summary, "steps");
    rows[0].values.push_back(std::isfinite(steps) ? steps : run.steps.last_step);
    rows[1].values.push_back(number_of(run.summary, "parameters"));
    rows[2].values.push_back(training_seconds(run, std::max(rows[0].values.back(), run.steps.last_step),
                                              static_cast<double>(run.steps.records),
                                              std::accumulate(phases.begin(), phases.end(), 0.0)));
    rows[3].values.push_back(samples_per_second(run));
  }
  return rows;
}

std::string cell(const Row& row, std::size_t run) {
  std::string html = data_element(row.values[run], row.style, fmt::format("run-{}.{}", run + 1, row.id));
  if (run > 0 && std::isfinite(row.values[run]) && std::isfinite(row.values[0])) {
    html += fmt::format("<span class=\"difference\">{}</span>",
                        difference_text(row.values[run] - row.values[0], row.style));
  }
  return html;
}

Table table_of(const Comparison& comparison, const std::vector<Row>& rows) {
  Table table{{"result"}, {}, 1};
  table.keeps_first = true;
  for (const std::string& name : comparison.names) table.head.push_back(name);
  for (const Row& row : rows) {
    table.rows.push_back({escape(row.label)});
    for (std::size_t run = 0; run < row.values.size(); ++run) table.rows.back().push_back(cell(row, run));
  }
  return table;
}

}  // namespace

std::string comparison_results(const Comparison& comparison) {
  std::vector<Row> lonely;
  const auto shared = [&](std::vector<Row> rows) {
    std::vector<Row> kept;
    for (Row& row : rows) {
      if (runs_with(row) > 0) (runs_with(row) > 1 ? kept : lonely).push_back(std::move(row));
    }
    return kept;
  };
  std::vector<Row> headline = shared(rows_of(comparison, "test"));
  std::vector<Row> validation = shared(rows_of(comparison, "validation"));
  if (headline.empty()) headline = std::exchange(validation, {});
  std::ranges::move(shared(best_rows(comparison)), std::back_inserter(headline));
  std::ranges::move(shared(run_rows(comparison)), std::back_inserter(headline));
  std::string html = table_html(table_of(comparison, headline));
  html +=
      fmt::format("<p class=\"note\">Below each number is its difference from {}; pp: percentage points.</p>\n",
                  escape(comparison.names.front()));
  if (!validation.empty())
    html += details_html("On the validation split", table_html(table_of(comparison, validation)));
  if (!lonely.empty()) html += details_html("What one run alone has", table_html(table_of(comparison, lonely)));
  return html;
}

}  // namespace switchyard::report
