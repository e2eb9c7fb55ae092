#include "base/name_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/utf8.hpp"

namespace switchyard {

std::string lines_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) (text += name) += '\n';
  return text;
}

std::vector<std::string> names_on_lines(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string_view::npos; at = end + 1)
    names.emplace_back(text.substr(at, end - at));
  return names;
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    const bool is_fine = bytes > 0 && static_cast<unsigned char>(text[0]) >= ' ' && text[0] != '\x7f';
    shown += is_fine ? text.substr(0, bytes) : "?";
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return shown;
}

std::string flaw_of(Span<const std::string> names) {
  constexpr std::size_t most_bytes = 256;
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (name.empty()) return "an empty name";
    if (name.size() > most_bytes)
      return fmt::format("a name of {} bytes (at most {} are read)", name.size(), most_bytes);
    if (!seen.insert(name).second) return fmt::format("the name {} twice", printable(name));
  }
  return {};
}

}  // namespace switchyard
