#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "report/comparison.hpp"
#include "report/html.hpp"
#include "report/pages.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

std::string state_text(const RunData& run) {
  const Json& exit = member(run.summary, "exit");
  const double code = number_of(exit, "code");
  if (!exit.is_object()) return "not finished";
  return code == 0 ? string_of(exit, "reason")
                   : fmt::format("exit code {:.0f}: {}", code, string_of(exit, "reason"));
}

// The runs in the colours of their curves, each with a link and how it ended.
std::string runs_list(const Comparison& comparison, const std::filesystem::path& page_folder) {
  std::string html = "<ul class=\"legend runs\">\n";
  constexpr Stroke strokes[] = {Stroke::solid, Stroke::dashed, Stroke::dotted};
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    html += fmt::format("<li>{}{} <span class=\"note\">{}</span></li>\n",
                        legend_key({"", i, KeyShape::curve, strokes[i / colour_count]}),
                        folder_link(comparison.runs[i].folder, page_folder, comparison.names[i]),
                        escape(state_text(comparison.runs[i])));
  }
  return html + "</ul>\n";
}

std::vector<std::string> warnings_of(const Comparison& comparison) {
  std::vector<std::string> warnings;
  const auto of_text = [](const RunData& run) { return run.of_text(); };
  if (std::ranges::any_of(comparison.runs, of_text) && !std::ranges::all_of(comparison.runs, of_text)) {
    warnings.push_back(
        "These are models of different kinds, some of text and some of samples: only what they share is compared, and "
        "a loss is of a token here and of a sample there.");
  }
  const auto unit_differs = [&](const RunData& run) {
    return run.loss_unit() != comparison.runs.front().loss_unit();
  };
  if (std::ranges::any_of(comparison.runs, unit_differs))
    warnings.push_back(
        "The runs were trained on losses of different units (model.loss, data.scale_targets): a difference between "
        "these losses means nothing.");
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    for (const std::string& warning : run_warnings(comparison.runs[i]))
      warnings.push_back(fmt::format("{}: {}", comparison.names[i], warning));
  }
  return warnings;
}

std::string text_table(const Comparison& comparison, std::string_view head,
                       const std::vector<ComparedText>& rows) {
  Table table{{std::string(head)}, {}, 1};
  table.keeps_first = true;
  for (const std::string& name : comparison.names) table.head.push_back(name);
  table.text_columns = table.head.size();
  for (const ComparedText& row : rows) {
    table.rows.push_back({escape(row.name)});
    for (const std::string& value : row.values)
      table.rows.back().push_back(value.empty() ? "–" : escape(value));
  }
  return table_html(table);
}

std::string configuration_of(const Comparison& comparison, const std::vector<std::string>& own_keys) {
  const std::vector<ComparedText> keys = differing_keys(comparison, own_keys);
  std::string html = keys.empty() ? "<p class=\"note\">No key differs but those that say which run it is.</p>\n"
                                  : text_table(comparison, "key", keys);
  if (const std::vector<ComparedText> builds = differing_builds(comparison); !builds.empty())
    html += "<h3>Builds</h3>\n" + text_table(comparison, "of the binary that ended the run", builds);
  return html;
}

}  // namespace

std::string comparison_page(const std::vector<std::filesystem::path>& folders,
                            const std::filesystem::path& page_folder, const Keys& keys) {
  const Comparison comparison = read_comparison(folders);
  const std::string html =
      runs_list(comparison, page_folder) + warnings_html(warnings_of(comparison)) +
      section_html("results", "Results", comparison_results(comparison)) +
      section_html("differences", "What differs in the configuration", configuration_of(comparison, keys.own)) +
      section_html("learning", "Learning", comparison_learning(comparison)) +
      section_html("experts", "Experts", comparison_experts(comparison)) + comparison_layers(comparison);
  return document_html({fmt::format("{} runs compared", comparison.runs.size()),
                        fmt::format("{}", escape(fmt::format("{}", fmt::join(comparison.names, " · ")))),
                        html});
}

}  // namespace switchyard::report
