#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "report/html.hpp"
#include "report/pages.hpp"
#include "report/study_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

std::string subtitle(const StudyData& study) {
  std::size_t runs = 0;
  for (const StudyArm& arm : study.arms) runs += arm.runs.size();
  std::string out = fmt::format("{} arms · {} runs", study.arms.size(), runs);
  if (!study.baseline.empty()) out += " · baseline " + escape(study.title_of(study.baseline));
  if (!study.select_by.empty()) out += " · settings chosen by " + escape(study.select_by);
  return out;
}

std::vector<std::string> warnings_of(const StudyData& study) {
  std::vector<std::string> warnings;
  for (const auto& [status, one, many] : {std::tuple{"failed", "run failed", "runs failed"},
                                          std::tuple{"skipped", "run was skipped", "runs were skipped"},
                                          std::tuple{"missing", "run is missing", "runs are missing"}}) {
    std::string arms;
    std::ptrdiff_t all = 0;
    for (const StudyArm& arm : study.arms) {
      const auto count = std::ranges::count(arm.runs, std::string_view(status), &StudyRun::status);
      if (count > 0) arms += fmt::format("{}{} ({})", arms.empty() ? "" : ", ", arm.title, count);
      all += count;
    }
    if (all > 0) warnings.push_back(fmt::format("{} {}: {}.", all, all == 1 ? one : many, arms));
  }
  return warnings;
}

std::string with_deviation(double mean, double deviation, NumberStyle style) {
  std::string out = data_element(mean, style);
  if (std::isfinite(deviation)) out += " ± " + data_element(deviation, style);
  return out;
}

std::string published_cell(const PublishedValue* published, NumberStyle style) {
  if (published == nullptr) return "–";
  return with_deviation(published->value, published->standard_deviation.value_or(std::nan("")), style);
}

std::string title_cell(const StudyData& study, const StudyArm& arm) {
  return escape(arm.title) + (arm.name == study.baseline ? " <span class=\"note\">(baseline)</span>" : "");
}

StudySummary summary_of(const StudyArm& arm, const std::string& metric) {
  const auto found = arm.summary.find(metric);
  if (found != arm.summary.end()) return found->second;
  return {0, std::nan(""), std::nan(""), std::nan("")};
}

// All metrics of all arms at once; scrolls sideways.
std::string overview(const StudyData& study) {
  Table table{{"arm", "settings", "n"}, {}, 2};
  for (const std::string& metric : study.metrics) table.head.push_back(metric);
  for (const StudyArm& arm : study.arms) {
    std::vector<std::string> row = {
        title_cell(study, arm), escape(arm.values.empty() ? "–" : arm.values),
        study.metrics.empty() ? "–" : number_text(summary_of(arm, study.metrics[0]).n)};
    for (const std::string& metric : study.metrics) {
      const StudySummary summary = summary_of(arm, metric);
      row.push_back(with_deviation(summary.mean, summary.deviation, style_of(metric)));
    }
    table.rows.push_back(std::move(row));
  }
  return table_html(table);
}

// One metric, with the best run and what was published.
std::string metric_table(const StudyData& study, const std::string& metric) {
  const NumberStyle style = style_of(metric);
  Table table{{"arm", "mean ± std", "n", "best", "published"}, {}, 1};
  for (const StudyArm& arm : study.arms) {
    const StudySummary summary = summary_of(arm, metric);
    table.rows.push_back({title_cell(study, arm), with_deviation(summary.mean, summary.deviation, style),
                          number_text(summary.n), data_element(summary.best, style),
                          published_cell(find_published(study.published, arm.name, metric), style)});
  }
  return details_html(fmt::format("{}: mean, best run, published", metric), table_html(table));
}

std::string selection_table(const StudyData& study) {
  const NumberStyle style = style_of(study.select_by);
  Table table{{"arm", "settings tried", "mean ± std", "n", "failed"}, {}, 2};
  for (const StudyArm& arm : study.arms) {
    for (const StudyCandidate& candidate : arm.selection) {
      table.rows.push_back({escape(arm.title), escape(candidate.values),
                            with_deviation(candidate.summary.mean, candidate.summary.deviation, style),
                            number_text(candidate.summary.n), number_text(candidate.failed)});
    }
  }
  if (table.rows.empty()) return "";
  return details_html(fmt::format("How settings were chosen (by {})", study.select_by), table_html(table));
}

std::string results_of(const StudyData& study) {
  std::string out = overview(study);
  for (const std::string& metric : study.metrics) out += metric_table(study, metric);
  return out + selection_table(study);
}

std::string runs_of(const StudyData& study, const std::filesystem::path& folder,
                    const std::filesystem::path& page_folder) {
  Table table{{"arm", "status", "folder", "seed"}, {}, 3};
  for (const std::string& metric : study.metrics) table.head.push_back(metric);
  for (const StudyArm& arm : study.arms) {
    for (const StudyRun& run : arm.runs) {
      const std::filesystem::path target = folder / run.folder;
      std::error_code error;
      const bool exists = std::filesystem::is_directory(target, error);
      std::vector<std::string> row = {
          escape(arm.name), escape(run.status),
          exists ? folder_link(target, page_folder, run.folder) : escape(run.folder), number_text(run.seed)};
      for (const std::string& metric : study.metrics) {
        const auto found = run.metrics.find(metric);
        row.push_back(found == run.metrics.end() ? "–" : data_element(found->second, style_of(metric)));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table_html(table);
}

}  // namespace

std::string study_page(const std::filesystem::path& folder, const std::filesystem::path& page_folder) {
  const StudyData study = read_study(folder);
  const std::string html =
      warnings_html(warnings_of(study)) + section_html("results", "Results", results_of(study)) +
      section_html("spread", "Spread across seeds", study_spread(study)) +
      section_html("differences", "Differences from the baseline", study_differences(study)) +
      section_html("curves", "Curves", study_curves(study, folder)) +
      section_html("runs", "Runs", runs_of(study, folder, page_folder));
  return document_html({fmt::format("Study {}", study.name), subtitle(study), html});
}

}  // namespace switchyard::report
