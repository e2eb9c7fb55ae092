#include "config/ini.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.hpp"
#include "config/messages.hpp"

namespace switchyard::config {
namespace {

constexpr std::string_view white_space = " \t\r\n";

// The name in a "[name]" line.
std::string_view section_name(std::string_view header, std::string_view where) {
  if (header.back() != ']') {
    throw ConfigError(
        fmt::format("section line {} has no ']' ({}); write [section]", in_quotes(header), where));
  }
  return header.substr(1, header.size() - 2);
}

Setting setting_of(std::string_view section, std::string_view line, std::string_view where) {
  const std::size_t equals = line.find('=');
  const std::string_view key = trimmed(line.substr(0, equals));
  if (equals == line.npos || key.empty()) {
    throw ConfigError(fmt::format(
        "line {} is neither a section nor a setting ({}); write key = value, or start it with # for a "
        "comment",
        in_quotes(line), where));
  }
  return {std::string(section), std::string(key), std::string(trimmed(line.substr(equals + 1))),
          std::string(where)};
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(white_space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    const std::size_t end = std::min(text.find_first_of(white_space), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

void for_each_setting(std::string_view text, std::string_view origin,
                      const std::function<void(const Setting&)>& use) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // the byte-order mark that some editors write
  std::map<std::string, int, std::less<>> line_of_key;
  std::string_view section;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, std::min(end, text.find('#'))));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string where = fmt::format("{}:{}", origin, number);
    if (line.empty()) continue;
    if (line.front() == '[') {
      section = section_name(line, where);
      use({.section = std::string(section), .key = {}, .value = {}, .where = where});
      continue;
    }
    const Setting setting = setting_of(section, line, where);
    use(setting);
    const auto [first, is_new] = line_of_key.emplace(setting.name(), number);
    if (!is_new) {
      throw ConfigError(
          fmt::format("{} is set twice ({} and line {} of the same file); keep one of the two lines",
                      setting.name(), where, first->second));
    }
  }
}

}  // namespace switchyard::config
