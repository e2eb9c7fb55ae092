#include "base/name_lines.hpp"

#include <algorithm>

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

std::string printable(std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  return name;
}

}  // namespace switchyard
