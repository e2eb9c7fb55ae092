#include "console/result_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

namespace switchyard::console {
namespace {

constexpr index_t experts_shown = 64;
constexpr index_t classes_shown = 20;
constexpr std::size_t name_columns_shown = 24;

// "expert 64", "experts 64 to 79".
std::string range_text(std::string_view one, std::string_view many, index_t begin, index_t end) {
  return end - begin == 1 ? fmt::format("{} {}", one, begin) : fmt::format("{} {} to {}", many, begin, end - 1);
}

// `fraction` of `columns`, in eighths of a column where the characters exist.
std::string bar(double fraction, index_t columns, bool utf8) {
  if (!utf8) return std::string(as_size(std::lround(fraction * static_cast<double>(columns))), '#');
  static constexpr std::array<std::string_view, 8> eighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto length = as_size(std::lround(fraction * static_cast<double>(columns) * 8));
  std::string text;
  for (std::size_t full = 0; full < length / 8; ++full) text += "█";
  return text + std::string(eighths[length % 8]);
}

// One kind of rows that experts are counted against.
struct Table {
  std::string_view kind, kinds, rows;  // "class", "classes", "samples"
  std::int64_t (moe::RoutingStatistics::*count)(index_t, index_t) const;
  index_t size;
  const std::vector<std::string>* names;  // of its rows; a row without one is shown by its number
};

std::string name_of(const Table& table, index_t row, const TextStyle& style) {
  return row < std::ssize(*table.names) ? name_cell((*table.names)[as_size(row)], name_columns_shown, style)
                                        : fmt::format("{}", row);
}

std::int64_t rows_of(const moe::RoutingStatistics& routing, const Table& table, index_t row) {
  std::int64_t rows = 0;
  for (index_t e = 0; e < routing.experts(); ++e) rows += (routing.*table.count)(row, e);
  return rows;
}

// "." is exactly none, "0" is less than half a percent.
std::string percent_cell(std::int64_t count, std::int64_t whole) {
  if (count == 0) return ".";
  return fmt::format("{:.0f}", 100.0 * static_cast<double>(count) / static_cast<double>(whole));
}

bool evaluated(const moe::Statistics* statistics) { return statistics != nullptr && statistics->samples() > 0; }

std::string score_row(std::string_view label, int decimals, std::string_view note,
                      const std::vector<const moe::Statistics*>& splits, const auto& value_of) {
  std::string row = fmt::format("  {:<12}", label);
  for (const auto* split : splits) row += fmt::format("{:>12.{}f}", value_of(*split), decimals);
  return note.empty() ? row + "\n" : fmt::format("{}  {}\n", row, note);
}

}  // namespace

std::string score_table(const Result& result) {
  std::string out = fmt::format("{:<14}", "result");
  std::vector<const moe::Statistics*> splits;
  if (evaluated(result.test)) {
    splits.push_back(result.test);
    out += fmt::format("{:>12}", "test");
  }
  if (evaluated(result.validation)) {
    splits.push_back(result.validation);
    out += fmt::format("{:>12}", "validation");
  }
  if (splits.empty()) return "";
  out += '\n';
  using S = moe::Statistics;
  const bool one_layer = splits.front()->is_one_layer();
  const std::string_view token = splits.front()->token.name;
  if (splits.front()->is_regression()) {
    out += score_row("MSE", 4, "mean squared error, in the units of the data", splits,
                     std::mem_fn(&S::mean_squared_error));
    out += score_row("R2", 4, "share of the variance that is explained", splits, std::mem_fn(&S::r2));
  } else {
    out += score_row("error", 4,
                     one_layer ? "" : fmt::format("share of {}s that were not the most probable", token),
                     splits, std::mem_fn(&S::error));
  }
  out += score_row("loss", 4, one_layer ? "" : fmt::format("nats a {}", token), splits,
                   std::mem_fn(&S::likelihood_loss));
  if (!one_layer)
    out += score_row("perplexity", 2, fmt::format("exp(loss), of a {}", token), splits,
                     std::mem_fn(&S::perplexity));
  if (!one_layer) out += score_row("bits", 4, "a byte", splits, std::mem_fn(&S::bits_per_byte));
  for (std::size_t l = 0; l < splits.front()->layers.size(); ++l) {
    const auto& [name, first] = splits.front()->layers[l];
    if (first.experts() < 2) continue;
    if (!name.empty()) out += fmt::format("{}\n", name);
    const auto row = [&](std::string_view label, std::string_view note,
                         double (moe::RoutingStatistics::*value_of)() const) {
      out += score_row(label, 3, note, splits, [&](const S& of) { return (of.layers[l].routing.*value_of)(); });
    };
    using R = moe::RoutingStatistics;
    const double bound = std::log2(static_cast<double>(first.experts()));
    row("H_s",
        fmt::format("bits, softmax of a {} over all experts; low is decided", one_layer ? "sample" : "token"),
        &R::sample_entropy);
    if (first.is_limited) row("dropped", "share of the chosen that had no place left", &R::dropped_share);
    row("H_u", fmt::format("bits, usage of the experts; at most {:.2f}", bound), &R::usage_entropy);
    if (first.classes() == 0) continue;
    row("I(E;Y)", "bits, expert and predicted class", &R::mutual_information_predicted);
    row("I(E;Y) true", "bits, expert and true class", &R::mutual_information_true);
  }
  return out;
}

std::string best_line(index_t step, std::string_view score, double validation, const moe::Statistics& test) {
  std::string name(score);
  std::ranges::replace(name, '_', ' ');
  return fmt::format(
      "\nbest checkpoint: step {}, validation {} {:.4f}; test {} {:.4f}, loss {:.4f} (all above is of "
      "the last step)\n",
      step, name, validation, test.is_regression() ? "R2" : "error",
      test.is_regression() ? test.r2() : test.error(), test.likelihood_loss());
}

std::string usage_bars(const moe::RoutingStatistics& statistics, std::string_view split,
                       const TextStyle& style) {
  const std::vector<double> share = statistics.expert_share();
  const std::vector<double> importance = statistics.importance_share();
  if (share.empty()) return "";
  // The longest bar fills the room, so that small differences between many experts can be seen.
  const double largest = std::ranges::max(share);
  const index_t room = std::clamp<index_t>(style.columns - 29, 10, 40);
  std::string out = fmt::format("experts on {}\n  expert   share  importance\n", split);
  const index_t shown = std::min(statistics.experts(), experts_shown);
  for (index_t e = 0; e < shown; ++e) {
    const auto i = as_size(e);
    const std::string length = bar(largest > 0 ? share[i] / largest : 0.0, room, style.utf8);
    out += fmt::format("  {:>6}  {:>5.1f}%  {:>9.1f}%{}{}\n", e, 100 * share[i], 100 * importance[i],
                       length.empty() ? "" : "  ", length);
  }
  if (shown < statistics.experts()) {
    out += fmt::format("  (more in summary.json, expert_share: {})\n",
                       range_text("expert", "experts", shown, statistics.experts()));
  }
  return out;
}

namespace {

// A row per kind, a column per expert.
std::string kind_table(const moe::RoutingStatistics& routing, const Table& table, std::string_view split,
                       const TextStyle& style) {
  constexpr index_t cell_columns = 4;
  const index_t experts = std::min(routing.experts(), experts_shown);
  const index_t shown = std::min(table.size, classes_shown);
  std::size_t name_columns = table.kind.size();
  for (index_t row = 0; row < shown; ++row)
    name_columns = std::max(name_columns, width_of(name_of(table, row, style)));
  const index_t head_columns = std::ssize(table.rows) + static_cast<index_t>(name_columns) + 4;
  // Blocks of equal width: 64 experts in 100 columns are 4 x 16, not 3 x 21 and 1.
  const index_t room = std::max<index_t>((style.columns - head_columns) / cell_columns, 1);
  const index_t blocks = std::max<index_t>((experts + room - 1) / room, 1);
  const index_t per_block = (experts + blocks - 1) / blocks;
  std::string out = fmt::format("{} by expert on {}: % of a {}'s {} that go to each expert (. is none)\n",
                                table.kind, split, table.kind, table.rows);
  for (index_t begin = 0; begin < experts; begin += per_block) {
    const index_t end = std::min(begin + per_block, experts);
    out += fmt::format("  {} {:>8}", right_aligned(table.kind, name_columns), table.rows);
    for (index_t e = begin; e < end; ++e) out += fmt::format("{:>{}}", e, cell_columns);
    out += '\n';
    for (index_t row = 0; row < shown; ++row) {
      const std::int64_t rows = rows_of(routing, table, row);
      out += fmt::format("  {} {:>8}", right_aligned(name_of(table, row, style), name_columns), rows);
      for (index_t e = begin; e < end; ++e)
        out += fmt::format("{:>{}}", percent_cell((routing.*table.count)(row, e), rows), cell_columns);
      out += '\n';
    }
  }
  std::string cut;
  if (experts < routing.experts()) cut = range_text("expert", "experts", experts, routing.experts());
  if (shown < table.size)
    cut += (cut.empty() ? "" : " and ") + range_text(table.kind, table.kinds, shown, table.size);
  return cut.empty() ? out
                     : fmt::format("{}  (more in summary.json, {}_by_expert: {})\n", out, table.kind, cut);
}

}  // namespace

std::string class_table(const moe::RoutingStatistics& routing, const std::vector<std::string>& names,
                        std::string_view split, const TextStyle& style) {
  return kind_table(
      routing, {"class", "classes", "samples", &moe::RoutingStatistics::by_label, routing.classes(), &names},
      split, style);
}

std::string group_table(const moe::RoutingStatistics& routing, const std::vector<std::string>& names,
                        std::string_view split, const TextStyle& style, std::string_view rows) {
  if (routing.groups() == 0) return "";
  const std::string_view kind = routing.kinds().group;
  const std::string kinds = fmt::format("{}s", kind);
  return kind_table(routing, {kind, kinds, rows, &moe::RoutingStatistics::by_group, routing.groups(), &names},
                    split, style);
}

std::string importance_advice(double weight) {
  return weight > 0 ? fmt::format("try a larger importance regulariser (--moe.importance={:g}; it is {:g})",
                                  2 * weight, weight)
                    : std::string("try the importance regulariser (--moe.importance=0.2; it is 0)");
}

std::string dead_expert_warning(const moe::RoutingStatistics& statistics, std::string_view split,
                                std::optional<double> importance_weight, const TextStyle& style) {
  const std::vector<index_t> dead = statistics.dead_experts();
  if (dead.empty()) return "";
  const std::string advice = importance_weight ? importance_advice(*importance_weight) + "," : "try";
  const std::string text = fmt::format(
      "dead experts: {} ({} for less than 1 {} in 1000 of {}); {} fewer experts (moe.experts) or "
      "another seed (run.seed)",
      dead_experts_text(statistics), statistics.chooses() ? "chosen" : "the largest weight",
      statistics.kinds().row, split, advice);
  std::string out;
  for (const std::string& line : wrap(text, style.columns - 9)) {
    out += fmt::format("{}{}\n", out.empty() ? "warning: " : "         ", line);
  }
  return out;
}

std::string result_text(const Result& result, const TextStyle& style) {
  const bool has_test = evaluated(result.test);
  const moe::Statistics* shown = has_test ? result.test : result.validation;
  if (!evaluated(shown)) return "";
  const std::string_view split = has_test ? "test" : "validation";
  std::string out = score_table(result);
  std::string warnings;
  for (const auto& [name, routing] : shown->layers) {
    if (routing.experts() < 2) continue;
    const std::string where = name.empty() ? std::string(split) : fmt::format("{} of {}", split, name);
    out += "\n" + usage_bars(routing, where, style) + "\n";
    const std::string rows =
        fmt::format("{}{}s", routing.rows() == shown->samples() ? "" : "sub-", routing.kinds().row);
    if (routing.classes() > 0) out += class_table(routing, shown->names->classes, where, style);
    if (routing.classes() > 0 && routing.groups() > 0) out += "\n";
    out += group_table(routing, shown->names->groups, where, style, rows);
    warnings += dead_expert_warning(routing, where, result.importance_weight, style);
  }
  return warnings.empty() ? out : out + "\n" + warnings;
}

}  // namespace switchyard::console
