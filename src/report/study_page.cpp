#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/error.hpp"
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

void add_section(std::string& out, std::string_view id, std::string_view title, const std::string& html) {
  if (!html.empty()) out += section_html(id, title, html);
}

}  // namespace

std::string study_page(const std::filesystem::path& folder, const std::filesystem::path& page_folder) {
  const StudyData study = read_study(folder);
  std::string html = warnings_html(warnings_of(study));
  add_section(html, "results", "Results", study_results(study));
  add_section(html, "spread", "Spread across seeds", study_spread(study));
  add_section(html, "differences", "Differences from the baseline", study_differences(study));
  add_section(html, "curves", "Curves", study_curves(study, folder));
  add_section(html, "runs", "Runs", study_runs(study, folder, page_folder));
  return document_html({fmt::format("Study {}", study.name), subtitle(study), html});
}

std::string page_of(const std::filesystem::path& folder, const std::filesystem::path& page_folder,
                    const Headline& headline) {
  std::error_code error;
  if (is_study(folder)) return study_page(folder, page_folder);
  if (is_run(folder)) return run_page(folder, headline);
  const char* why = std::filesystem::is_directory(folder, error)
                        ? "it holds neither a study.json nor a config.ini or metrics.jsonl"
                    : std::filesystem::exists(folder, error) ? "it is a file"
                                                             : "it does not exist";
  throw DataError(
      fmt::format("there is no run or study in '{}' ({}); give the folder that `switchyard train` or "
                  "`switchyard study` made",
                  folder.string(), why));
}

}  // namespace switchyard::report
