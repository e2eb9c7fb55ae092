#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "base/phase_clock.hpp"
#include "report/html.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

std::string totals_table(const StepSeries& steps) {
  const double whole = std::accumulate(steps.phase_totals.begin(), steps.phase_totals.end(), 0.0);
  Table table{{"phase", "seconds", "share", "ms per step"}, {}, 1};
  const auto add = [&](std::string_view name, double seconds) {
    table.rows.push_back({escape(name), fmt::format("{:.2f}", seconds),
                          fmt::format("{:.1f}%", whole > 0 ? 100 * seconds / whole : 0),
                          fmt::format("{:.2f}", 1000 * seconds / static_cast<double>(steps.records))});
  };
  for (std::size_t phase = 0; phase < steps.phase_totals.size(); ++phase) {
    add(name(static_cast<Phase>(phase)), steps.phase_totals[phase]);
  }
  add("all", whole);
  return table_html(table);
}

}  // namespace

double samples_per_second(const RunData& run) {
  const double stated = number_of(member(run.summary, "train"), "samples_per_second");
  if (std::isfinite(stated)) return stated;
  const double seconds = std::accumulate(run.steps.phase_totals.begin(), run.steps.phase_totals.end(), 0.0);
  return seconds > 0 ? run.steps.samples / seconds : std::nan("");
}

std::string run_time(const RunData& run) {
  const StepSeries& steps = run.steps;
  if (steps.phase_totals.empty()) return "";
  StackedChart chart;
  chart.title = "Time per step";
  chart.x_label = "step";
  chart.y_label = "milliseconds per step, on the coordinator";
  chart.form = StackForm::bars;
  for (std::size_t phase = 0; phase < phase_count; ++phase) {
    chart.names.emplace_back(name(static_cast<Phase>(phase)));
  }
  chart.rows = steps.phases.means();
  for (BinnedRows::Row& bin : chart.rows) {
    for (double& part : bin.values) part *= 1000;
  }
  chart.note = fmt::format(
      "Each bar is the mean of {} steps (the last one of those that are left). Waiting for other ranks counts "
      "for the phase that waits.",
      steps.phases.records_per_bin());
  return "<div class=\"grid\">\n" + figure_html(draw(chart)) + totals_table(steps) + "</div>\n";
}

}  // namespace switchyard::report
