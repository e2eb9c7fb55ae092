#include <fmt/format.h>

#include "report/html.hpp"
#include "report/pages.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

// "runs/one/" is called "one", and "." by the folder that it is.
std::string folder_name(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(folder, error).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  return path.filename().string();
}

std::string subtitle(const RunData& run, const Headline& headline) {
  std::string out;
  for (const auto& [key, label] : headline) {
    const auto found = run.settings.find(key);
    if (found == run.settings.end()) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : " · ", label, escape(found->second));
  }
  return out;
}

std::string configuration(const RunData& run) {
  std::string out;
  if (!run.config_text.empty()) {
    out += details_html("config.ini", fmt::format("<pre>{}</pre>\n", escape(run.config_text)));
  }
  const Json& build = member(run.summary, "build");
  if (build.is_object()) {
    Table table{{"build", "of the binary that ended the run"}, {}, 2};
    for (const auto& [name, value] : build.items()) {
      table.rows.push_back({escape(name), escape(value.is_string() ? value.get<std::string>() : value.dump())});
    }
    out += details_html("Build", table_html(table));
  }
  return out;
}

void add_section(std::string& out, std::string_view id, std::string_view title, const std::string& html) {
  if (!html.empty()) out += section_html(id, title, html);
}

}  // namespace

std::string run_page(const std::filesystem::path& folder, const Headline& headline) {
  const RunData run = read_run(folder);
  std::string html = run_headline(run) + warnings_html(run_warnings(run));
  add_section(html, "learning", "Learning", run_learning(run));
  if (run.experts() != 1) add_section(html, "experts", "Experts", run_experts(run));
  add_section(html, "time", "Time", run_time(run));
  add_section(html, "configuration", "Configuration", configuration(run));
  return document_html({fmt::format("Run {}", folder_name(folder)), subtitle(run, headline), html});
}

}  // namespace switchyard::report
