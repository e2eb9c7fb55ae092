#include "study/published.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "config/messages.hpp"
#include "files/regular_file.hpp"

namespace switchyard::study {
namespace {

constexpr std::string_view header = "arm,metric,step,value,std";
constexpr std::size_t columns = 5;

std::string_view without_line_end(std::string_view line) {
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

std::array<std::string_view, columns> split(std::string_view line, const std::string& where) {
  std::array<std::string_view, columns> cells;
  for (std::size_t c = 0; c < columns; ++c) {
    const std::size_t comma = line.find(',');
    if ((comma == line.npos) != (c + 1 == columns)) {
      throw ConfigError(
          fmt::format("the line does not have {} columns ({}); write {}", columns, where, header));
    }
    cells[c] = line.substr(0, comma);
    line.remove_prefix(comma == line.npos ? line.size() : comma + 1);
  }
  return cells;
}

double number(std::string_view text, std::string_view column, const std::string& where) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stopped == end && std::isfinite(value)) return value;
  throw ConfigError(
      fmt::format("{} = {} is not a number ({}); write one", column, config::in_quotes(text), where));
}

std::optional<double> number_or_nothing(std::string_view text, std::string_view column,
                                        const std::string& where) {
  return text.empty() ? std::nullopt : std::optional(number(text, column, where));
}

}  // namespace

std::vector<report::PublishedValue> parse_published(std::string_view text, std::string_view where) {
  std::istringstream lines{std::string(text)};
  std::vector<report::PublishedValue> values;
  int number_of_line = 0;
  for (std::string whole; next_line(lines, whole);) {
    const std::string at = fmt::format("{}:{}", where, ++number_of_line);
    const std::string_view line = without_line_end(whole);
    if (number_of_line == 1) {
      if (line != header)
        throw ConfigError(fmt::format("published values begin with another line ({}); write {}", at, header));
      continue;
    }
    if (line.empty()) continue;
    const auto cells = split(line, at);
    values.push_back({.arm = std::string(cells[0]),
                      .metric = std::string(cells[1]),
                      .step = number_or_nothing(cells[2], "step", at),
                      .value = number(cells[3], "value", at),
                      .standard_deviation = number_or_nothing(cells[4], "std", at)});
  }
  return values;
}

std::vector<report::PublishedValue> read_published(const std::string& path) {
  constexpr std::size_t most_bytes = std::size_t{1} << 24;
  if (const std::string reason = files::why_unreadable(path); !reason.empty()) {
    throw ConfigError(
        fmt::format("cannot read the published values in {} ({}; study.published names it); give a file beside "
                    "the study file",
                    config::in_quotes(path), reason));
  }
  return parse_published(files::read_regular_file(path, most_bytes), path);
}

}  // namespace switchyard::study
