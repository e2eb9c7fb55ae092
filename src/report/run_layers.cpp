#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "report/html.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

struct Column {
  std::string_view name;
  std::string_view head;
};
constexpr Column columns[] = {
    {"h_s", "H_s, bits"},
    {"h_u", "H_u, bits"},
    {"dispatch_entropy", "dispatch entropy, nats"},
    {"largest_share", "largest share"},
    {"active_experts", "active experts"},
    {"dropped", "dropped slots"},  // where what experts take is limited
};

std::vector<Column> columns_of(const Records& layer) {
  std::vector<Column> found(std::begin(columns), std::end(columns));
  if (find_evaluation(layer, "dropped").object.is_null()) found.pop_back();
  return found;
}

// "none", "4 of 8 (1, 2, 6, 7)".
std::string dead_text(const Json& evaluation) {
  constexpr std::size_t listed = 8;
  if (member(evaluation, "dead_experts").is_null()) return "–";
  const std::vector<double> dead = numbers_of(evaluation, "dead_experts");
  if (dead.empty()) return "none";
  const std::string which = dead.size() > listed ? "" : fmt::format(" ({})", fmt::join(dead, ", "));
  return fmt::format("{} of {}{}", dead.size(), numbers_of(evaluation, "expert_share").size(), which);
}

std::vector<std::string> row_of(const Records& layer, std::string_view of, const Json& evaluation) {
  std::vector<std::string> row = {escape(of)};
  for (const auto& [name, head] : columns_of(layer)) {
    row.push_back(data_element(number_of(evaluation, name), style_of(name),
                               fmt::format("{}.{}.{}", of, layer.name, name)));
  }
  row.push_back(dead_text(evaluation));
  return row;
}

// Rows: the splits of the summary; before there is one, the newest evaluation.
std::string figures(const Records& layer) {
  Table table{{"split"}, {}, 1};
  for (const Column& column : columns_of(layer)) table.head.emplace_back(column.head);
  table.head.emplace_back("dead experts");
  for (const char* split : {"test", "validation", "train"}) {
    if (const Json& evaluation = member(layer.summary, split); !evaluation.is_null())
      table.rows.push_back(row_of(layer, split, evaluation));
  }
  if (const Found found = find_evaluation(layer, "h_s"); table.rows.empty() && !found.object.is_null())
    table.rows.push_back(row_of(layer, found.of, found.object));
  return table.rows.empty() ? "" : table_html(table);
}

}  // namespace

std::string run_layers(const RunData& run) {
  std::string html;
  for (std::size_t i = 0; i < run.layers.size(); ++i) {
    const Records& layer = run.layers[i];
    // A single expert has nothing to choose.
    if (layer.experts() == 1) continue;
    html += section_html(fmt::format("experts-{}", i), fmt::format("Experts of {}", layer.name),
                         figures(layer) + run_experts(layer));
  }
  return html;
}

}  // namespace switchyard::report
