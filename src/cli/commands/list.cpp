// list: the runs of a folder, a line each.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <iostream>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "console/terminal.hpp"
#include "report/run_list.hpp"
#include "report/text.hpp"

namespace switchyard::cli {
namespace {

using report::Listed;
using report::ListedState;

constexpr std::string_view no_value = "-";

// "2160", "36.5k", "1.24M".
std::string short_count(double count) {
  if (!std::isfinite(count)) return "?";
  constexpr std::pair<double, std::string_view> units[] = {{1e9, "G"}, {1e6, "M"}, {1e4, "k"}};
  for (const auto& [from, unit] : units) {
    if (count >= from) return fmt::format("{:.3g}{}", count / (from == 1e4 ? 1e3 : from), unit);
  }
  return fmt::format("{:.0f}", count);
}

std::string progress_text(const Listed& row) {
  std::string text = short_count(row.done);
  if (row.planned != row.done) text += fmt::format("/{}", short_count(row.planned));
  return row.is_study ? text + " runs" : text;
}

std::string score_text(double value, std::string_view score) {
  if (!std::isfinite(value)) return std::string(no_value);
  const report::NumberStyle style = report::style_of(score);
  // Four digits, as everywhere, but short.
  return style == report::NumberStyle::percent || std::abs(value) >= 1e-3 ? report::number_text(value, style)
                                                                          : fmt::format("{:.1e}", value);
}

std::string time_text(std::chrono::system_clock::time_point time, const char* format, bool local) {
  if (time == std::chrono::system_clock::time_point()) return "";  // no file of it could be looked at
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  if ((local ? ::localtime_r(&seconds, &parts) : ::gmtime_r(&seconds, &parts)) == nullptr) return "";
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

// Of the last day the hour, of the last half year the day, as `ls -l` has them.
std::string short_time(std::chrono::system_clock::time_point time) {
  const auto age = std::chrono::system_clock::now() - time;
  const char* format = age < std::chrono::hours(24)         ? "%H:%M"
                       : age < std::chrono::hours(24 * 182) ? "%d %b"
                                                            : "%Y-%m";
  const std::string text = time_text(time, format, /*local=*/true);
  return text.empty() ? std::string(no_value) : text;
}

std::string state_text(const Listed& row) {
  const std::string text(report::name(row.state));
  return row.state == ListedState::stopped && std::isfinite(row.exit_code)
             ? fmt::format("{} {:.0f}", text, row.exit_code)
             : text;
}

std::set<std::string> scores_of(const std::vector<Listed>& rows) {
  std::set<std::string> scores;
  for (const Listed& row : rows) {
    if (!row.score.empty()) scores.insert(row.score);
  }
  return scores;
}

using Cells = std::vector<std::string>;

Cells cells_of(const Listed& row, bool with_score, const console::TextStyle& style) {
  Cells cells = {state_text(row), progress_text(row)};
  if (with_score) cells.push_back(row.score.empty() ? std::string(no_value) : row.score);
  cells.push_back(score_text(row.validation, row.score));
  cells.push_back(score_text(row.test, row.score));
  cells.push_back(std::isfinite(row.parameters) ? short_count(row.parameters) : std::string(no_value));
  cells.push_back(row.seconds > 0 ? console::duration_text(row.seconds) : std::string(no_value));
  cells.push_back(short_time(row.changed));
  cells.push_back(console::name_cell(row.folder, row.folder.size(), style) + (row.is_study ? "/ (study)" : ""));
  return cells;
}

// Names stand last, so that a long one moves nothing. A second line says why a run is not what it should be.
std::string text_of(const std::vector<Listed>& rows, const console::TextStyle& style) {
  const std::set<std::string> scores = scores_of(rows);
  const bool with_score = scores.size() > 1;
  std::vector<Cells> lines = {{"state", "steps", "valid.", "test", "param.", "time", "last", "run"}};
  if (with_score) lines.front().insert(lines.front().begin() + 2, "score");
  for (const Listed& row : rows) lines.push_back(cells_of(row, with_score, style));
  std::vector<std::size_t> widths(lines.front().size());
  for (const Cells& cells : lines) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], console::width_of(cells[i]));
  }
  std::string text;
  for (std::size_t line = 0; line < lines.size(); ++line) {
    const Cells& cells = lines[line];
    text += cells[0] + std::string(widths[0] - console::width_of(cells[0]), ' ');
    for (std::size_t i = 1; i + 1 < cells.size(); ++i)
      text += fmt::format("  {}", console::right_aligned(cells[i], widths[i]));
    text += fmt::format("  {}\n", cells.back());
    if (line == 0 || rows[line - 1].reason.empty() || rows[line - 1].state == ListedState::finished) continue;
    text += fmt::format("  {}\n", console::name_cell(rows[line - 1].reason, as_size(style.columns - 2), style));
  }
  if (scores.size() == 1) text += fmt::format("valid. and test: {}\n", *scores.begin());
  return text;
}

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

// All digits; what is not known is empty.
std::string csv_of(const std::vector<Listed>& rows) {
  const auto number = [](double value) {
    return std::isfinite(value) ? fmt::format("{}", value) : std::string();
  };
  std::string text =
      "folder,kind,state,exit_code,reason,done,planned,score,validation,test,parameters,seconds,changed\n";
  for (const Listed& row : rows) {
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_cell(row.folder),
                        row.is_study ? "study" : "run", report::name(row.state), number(row.exit_code),
                        csv_cell(row.reason), number(row.done), number(row.planned), csv_cell(row.score),
                        number(row.validation), number(row.test), number(row.parameters), number(row.seconds),
                        time_text(row.changed, "%Y-%m-%dT%H:%M:%SZ", /*local=*/false));
  }
  return text;
}

}  // namespace

int list(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.own = {"format"}});
  if (line.positionals.size() > 1) only_positional(line, "list takes one folder", "switchyard list runs");
  const std::string folder = line.positionals.empty() ? "runs" : line.positionals.front();
  const std::string format = line.option("format").value_or("text");
  if (format != "text" && format != "csv")
    throw ConfigError(fmt::format("--format={} is neither text nor csv; try --format=csv", format));
  const std::vector<Listed> rows = report::list_runs(folder);
  if (format == "csv") {
    std::cout << csv_of(rows);
  } else if (rows.empty()) {
    std::cout << fmt::format("there is no run in '{}' or below it\n", folder);
  } else {
    std::cout << text_of(rows, console::detect_terminal(1).style);
  }
  return 0;
}

std::string list_help() {
  return R"(usage: switchyard list [FOLDER] [--format=text|csv]

Prints the runs in FOLDER (runs) and below it, a line each, the newest first: state, steps done (of those that are
planned), score on the validation and the test split, parameters, time of the training steps, when it was last written
to, and folder. A study is one line, with how many of its runs are finished; `switchyard list STUDY` prints its runs.

running      a process holds the run's lock
finished     all that was asked for is done
stopped N    it ended with exit code N: the line below says why
unfinished   it was killed: `switchyard resume` goes on
damaged      its files cannot be read: the line below says why

Nothing is written, and runs may be under way. Numbers are of the last step's weights. --format=csv prints all digits.
)";
}

}  // namespace switchyard::cli
