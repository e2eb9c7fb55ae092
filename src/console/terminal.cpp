#include "console/terminal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

namespace switchyard::console {
namespace {

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

std::string padded(std::string_view text, std::size_t columns) {
  const std::size_t width = width_of(text);
  return std::string(text) + std::string(columns > width ? columns - width : 0, ' ');
}

// Appends `text` behind `head`, its further lines below the first.
void add_hanging(std::string& out, const std::string& head, std::string_view text, index_t columns) {
  const std::size_t indent = width_of(head);
  const index_t room = std::max<index_t>(columns - static_cast<index_t>(indent), 20);
  bool first = true;
  for (const std::string& line : wrap(text, room)) {
    const std::string start = first ? head : std::string(indent, ' ');
    out += line.empty() ? "\n" : fmt::format("{}{}\n", start, line);
    first = false;
  }
}

void wrap_line(std::string_view line, std::size_t columns, std::vector<std::string>& lines) {
  std::string current;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    if (!current.empty() && width_of(current) + 1 + width_of(word) > columns) {
      lines.push_back(current);
      current.clear();
    }
    if (!current.empty()) current += ' ';
    current += word;
  }
  lines.push_back(current);
}

}  // namespace

std::size_t width_of(std::string_view text) { return as_size(std::ranges::count_if(text, starts_character)); }

Terminal detect_terminal(int descriptor) {
  Terminal terminal;
  terminal.style.utf8 = is_utf8_locale(std::getenv("LC_ALL"), std::getenv("LC_CTYPE"), std::getenv("LANG"));
  struct winsize size {};
  if (::isatty(descriptor) != 1 || ::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return terminal;
  terminal.style.columns = size.ws_col;
  const char* kind = std::getenv("TERM");
  terminal.live = kind != nullptr && std::string_view(kind) != "dumb";
  return terminal;
}

bool is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang) {
  for (const char* value : {lc_all, lc_ctype, lang}) {
    if (value == nullptr || *value == '\0') continue;
    std::string lower(value);
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

std::string grouped(index_t number) {
  std::string digits = fmt::format("{}", number);
  const std::ptrdiff_t first = number < 0 ? 1 : 0;
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > first; place -= 3) {
    digits.insert(as_size(place), 1, ',');
  }
  return digits;
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e12) return "?";
  const auto whole = static_cast<index_t>(std::llround(seconds));
  constexpr index_t minute = 60;
  constexpr index_t hour = 60 * minute;
  constexpr index_t day = 24 * hour;
  if (whole < minute) return fmt::format("{}s", whole);
  if (whole < hour) return fmt::format("{}m {}s", whole / minute, whole % minute);
  if (whole < day) return fmt::format("{}h {}m", whole / hour, whole % hour / minute);
  return fmt::format("{}d {}h", whole / day, whole % day / hour);
}

std::string rate_text(double per_second) {
  if (!(per_second >= 0) || per_second > 1e15) return "?";
  if (per_second < 99.95) return fmt::format("{:.1f}", per_second);
  return grouped(std::llround(per_second));
}

std::vector<std::string> wrap(std::string_view text, index_t columns) {
  std::vector<std::string> lines;
  while (true) {
    const std::size_t end = text.find('\n');
    wrap_line(text.substr(0, end), as_size(columns), lines);
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::string name_cell(std::string_view name, std::size_t columns, const TextStyle& style) {
  std::string text;
  std::size_t cut = 0;  // where the last character that fits begins
  std::size_t characters = 0;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (starts_character(c) && ++characters == columns) cut = text.size();
    if (byte >= 0x80 && style.utf8) {
      text += c;
    } else if (starts_character(c)) {
      text += byte >= 0x20 && byte < 0x7F ? c : '?';
    }
  }
  if (characters > columns) text = text.substr(0, cut) + (style.utf8 ? "…" : "~");
  return text;
}

std::string right_aligned(std::string_view text, std::size_t columns) {
  const std::size_t width = width_of(text);
  return std::string(columns > width ? columns - width : 0, ' ') + std::string(text);
}

std::string start_table(const StartTable& table, const TextStyle& style) {
  std::size_t title_width = 0;
  std::size_t key_width = 0;
  for (const Section& section : table.sections) {
    title_width = std::max(title_width, width_of(section.title));
    for (const auto& row : section.rows) key_width = std::max(key_width, width_of(row.first));
  }
  std::string out;
  for (const Section& section : table.sections) {
    bool first = true;
    for (const auto& [key, value] : section.rows) {
      const std::string head =
          fmt::format("{}  {}  ", padded(first ? section.title : "", title_width), padded(key, key_width));
      add_hanging(out, head, value, style.columns);
      first = false;
    }
  }
  for (const std::string& warning : table.warnings) add_hanging(out, "warning: ", warning, style.columns);
  return out;
}

std::string evaluation_line(std::string_view when, std::string_view split, const moe::Statistics& statistics) {
  if (!statistics.is_one_layer()) {
    std::string line =
        fmt::format("{}: {} loss {:.4f} nats, {:.4f} bits a byte, error {:.4f}", when, split,
                    statistics.likelihood_loss(), statistics.bits_per_byte(), statistics.error());
    for (const auto& [name, layer] : statistics.layers) {
      line += fmt::format("; {}: H_s {:.2f}, H_u {:.2f}, largest expert {:.0f}%, dead {}", name,
                          layer.sample_entropy(), layer.usage_entropy(), 100.0 * layer.largest_share(),
                          dead_experts_text(layer));
    }
    return line;
  }
  const moe::RoutingStatistics& routing = statistics.routing();
  if (statistics.is_regression()) {
    return fmt::format(
        "{}: {} mean squared error {:.4g}, R2 {:.4f}, loss {:.4f}, H_s {:.2f}, H_u {:.2f} bits, "
        "largest expert {:.0f}%, dead {}",
        when, split, statistics.mean_squared_error(), statistics.r2(), statistics.likelihood_loss(),
        routing.sample_entropy(), routing.usage_entropy(), 100.0 * routing.largest_share(),
        dead_experts_text(routing));
  }
  return fmt::format(
      "{}: {} error {:.4f}, loss {:.4f}, H_s {:.2f}, H_u {:.2f}, I(E;Y) {:.2f} bits, largest expert "
      "{:.0f}%, dead {}",
      when, split, statistics.error(), statistics.likelihood_loss(), routing.sample_entropy(),
      routing.usage_entropy(), routing.mutual_information_predicted(), 100.0 * routing.largest_share(),
      dead_experts_text(routing));
}

std::string dead_experts_text(const moe::RoutingStatistics& statistics) {
  constexpr std::size_t listed = 5;
  const std::vector<index_t> dead = statistics.dead_experts();
  if (dead.empty()) return "none";
  if (dead.size() > listed) return fmt::format("{} of {}", dead.size(), statistics.experts());
  return fmt::format("{}", fmt::join(dead, ", "));
}

}  // namespace switchyard::console
