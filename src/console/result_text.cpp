#include "console/result_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace switchyard::console {
namespace {

constexpr index_t experts_shown = 64;
constexpr index_t classes_shown = 20;

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

std::int64_t class_samples(const moe::GateStatistics& statistics, index_t c) {
  std::int64_t samples = 0;
  for (index_t e = 0; e < statistics.experts(); ++e) samples += statistics.by_label(c, e);
  return samples;
}

// "." is exactly none, "0" is less than half a percent.
std::string percent_cell(std::int64_t count, std::int64_t whole) {
  if (count == 0) return ".";
  return fmt::format("{:.0f}", 100.0 * static_cast<double>(count) / static_cast<double>(whole));
}

bool evaluated(const moe::GateStatistics* statistics) {
  return statistics != nullptr && statistics->samples() > 0;
}

using ValueOf = double (moe::GateStatistics::*)() const;

std::string score_row(std::string_view label, ValueOf value_of, int decimals, std::string_view note,
                      const std::vector<const moe::GateStatistics*>& splits) {
  std::string row = fmt::format("  {:<12}", label);
  for (const auto* split : splits) row += fmt::format("{:>12.{}f}", (split->*value_of)(), decimals);
  return note.empty() ? row + "\n" : fmt::format("{}  {}\n", row, note);
}

}  // namespace

std::string score_table(const Result& result) {
  std::string out = fmt::format("{:<14}", "result");
  std::vector<const moe::GateStatistics*> splits;
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
  using S = moe::GateStatistics;
  out += score_row("error", &S::error, 4, "", splits);
  out += score_row("loss", &S::likelihood_loss, 4, "", splits);
  const index_t experts = splits.front()->experts();
  if (experts < 2) return out;
  const double bound = std::log2(static_cast<double>(experts));
  const std::string usage_note = fmt::format("bits, usage of the experts; at most {:.2f}", bound);
  out += score_row("H_s", &S::sample_entropy, 3, "bits, softmax of a sample over all experts; low is decided",
                   splits);
  out += score_row("H_u", &S::usage_entropy, 3, usage_note, splits);
  out += score_row("I(E;Y)", &S::mutual_information_predicted, 3, "bits, expert and predicted class", splits);
  out += score_row("I(E;Y) true", &S::mutual_information_true, 3, "bits, expert and true class", splits);
  return out;
}

std::string best_line(index_t step, std::string_view score, double validation,
                      const moe::GateStatistics& test) {
  return fmt::format(
      "\nbest checkpoint: step {}, validation {} {:.4f}; test error {:.4f}, loss {:.4f} (all above is of "
      "the last step)\n",
      step, score, validation, test.error(), test.likelihood_loss());
}

std::string usage_bars(const moe::GateStatistics& statistics, std::string_view split, const TextStyle& style) {
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

std::string class_table(const moe::GateStatistics& statistics, std::string_view split, const TextStyle& style) {
  constexpr index_t head_columns = 16;  // class and samples
  constexpr index_t cell_columns = 4;
  const index_t experts = std::min(statistics.experts(), experts_shown);
  const index_t classes = std::min(statistics.classes(), classes_shown);
  // Blocks of equal width: 64 experts in 100 columns are 4 x 16, not 3 x 21 and 1.
  const index_t room = std::max<index_t>((style.columns - head_columns) / cell_columns, 1);
  const index_t blocks = std::max<index_t>((experts + room - 1) / room, 1);
  const index_t per_block = (experts + blocks - 1) / blocks;
  std::string out =
      fmt::format("class by expert on {}: % of a class's samples that go to each expert (. is none)\n", split);
  for (index_t begin = 0; begin < experts; begin += per_block) {
    const index_t end = std::min(begin + per_block, experts);
    out += fmt::format("  {:>5} {:>8}", "class", "samples");
    for (index_t e = begin; e < end; ++e) out += fmt::format("{:>{}}", e, cell_columns);
    out += '\n';
    for (index_t c = 0; c < classes; ++c) {
      const std::int64_t samples = class_samples(statistics, c);
      out += fmt::format("  {:>5} {:>8}", c, samples);
      for (index_t e = begin; e < end; ++e) {
        out += fmt::format("{:>{}}", percent_cell(statistics.by_label(c, e), samples), cell_columns);
      }
      out += '\n';
    }
  }
  std::string cut;
  if (experts < statistics.experts()) cut = range_text("expert", "experts", experts, statistics.experts());
  if (classes < statistics.classes()) {
    cut += (cut.empty() ? "" : " and ") + range_text("class", "classes", classes, statistics.classes());
  }
  return cut.empty() ? out : fmt::format("{}  (more in summary.json, class_by_expert: {})\n", out, cut);
}

std::string importance_advice(double weight) {
  return weight > 0 ? fmt::format("try a larger importance regulariser (--moe.importance={:g}; it is {:g})",
                                  2 * weight, weight)
                    : std::string("try the importance regulariser (--moe.importance=0.2; it is 0)");
}

std::string dead_expert_warning(const moe::GateStatistics& statistics, std::string_view split,
                                std::optional<double> importance_weight, const TextStyle& style) {
  const std::vector<index_t> dead = statistics.dead_experts();
  if (dead.empty()) return "";
  const std::string advice = importance_weight ? importance_advice(*importance_weight) + "," : "try";
  const std::string text = fmt::format(
      "dead experts: {} (chosen for less than 1 sample in 1000 of {}); {} fewer experts (moe.experts) or "
      "another seed (run.seed)",
      dead_experts_text(statistics), split, advice);
  std::string out;
  for (const std::string& line : wrap(text, style.columns - 9)) {
    out += fmt::format("{}{}\n", out.empty() ? "warning: " : "         ", line);
  }
  return out;
}

std::string result_text(const Result& result, const TextStyle& style) {
  const bool has_test = evaluated(result.test);
  const moe::GateStatistics* shown = has_test ? result.test : result.validation;
  if (!evaluated(shown)) return "";
  const std::string_view split = has_test ? "test" : "validation";
  if (shown->experts() < 2) return score_table(result);
  std::string out =
      score_table(result) + "\n" + usage_bars(*shown, split, style) + "\n" + class_table(*shown, split, style);
  const std::string warning = dead_expert_warning(*shown, split, result.importance_weight, style);
  return warning.empty() ? out : out + "\n" + warning;
}

}  // namespace switchyard::console
