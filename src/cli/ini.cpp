#include "cli/ini.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <map>
#include <sstream>
#include <vector>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "config/messages.hpp"
#include "config/parse.hpp"
#include "files/regular_file.hpp"

namespace switchyard::cli {
namespace {

namespace po = boost::program_options;

constexpr std::size_t largest_file_bytes = 1 << 20;

// The line as Boost's parser sees it: no comment, no white space at the ends.
std::string_view content(std::string_view line) {
  constexpr std::string_view white = " \t\r\n";
  line = line.substr(0, line.find('#'));
  const std::size_t first = line.find_first_not_of(white);
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(white) - first + 1);
}

// The name in a "[name]" line.
std::string_view section_name(std::string_view header, std::string_view where) {
  if (header.back() != ']') {
    throw ConfigError(
        fmt::format("section line {} has no ']' ({}); write [section]", config::in_quotes(header), where));
  }
  return header.substr(1, header.size() - 2);
}

// Unknown names end at their own line, even when no key follows.
void require_known_section(std::string_view name, std::string_view where) {
  std::vector<std::string_view> names;
  for (const config::Section& section : config::sections()) names.push_back(section.name);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw ConfigError(fmt::format("unknown section {} ({}); did you mean '{}'? sections are {}",
                                  config::in_quotes(name), where, config::nearest(name, names),
                                  config::one_of(names)));
  }
}

// One line through Boost. Its parser takes a whole file but tells no line numbers, so each line goes there
// alone, under the section in which it stands ("" for none).
config::Setting parse_line(std::string_view section, std::string_view line, std::string_view where) {
  std::istringstream stream(section.empty() ? std::string(line) : fmt::format("[{}]\n{}", section, line));
  throw_what_fails(stream);
  try {
    // Unregistered options come back as they are: config::set() knows the keys, and the nearest one.
    const auto parsed = po::parse_config_file(stream, po::options_description(), /*allow_unregistered=*/true);
    const std::string& name = parsed.options.at(0).string_key;  // "section.key"
    return {std::string(section), section.empty() ? name : name.substr(section.size() + 1),
            parsed.options.at(0).value.at(0), std::string(where)};
  } catch (const po::error&) {
    throw ConfigError(
        fmt::format("line {} is neither a section nor a setting ({}); write key = value, or start it "
                    "with # for a comment",
                    config::in_quotes(line), where));
  }
}

}  // namespace

void for_each_setting(std::string_view text, std::string_view origin,
                      const std::function<void(const config::Setting&)>& use) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // the byte-order mark that some editors write
  std::map<std::string, int, std::less<>> line_of_key;
  std::string_view section;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = content(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string where = fmt::format("{}:{}", origin, number);
    if (line.empty()) continue;
    if (line.front() == '[') {
      section = section_name(line, where);
      use({.section = std::string(section), .key = {}, .value = {}, .where = where});
      continue;
    }
    const config::Setting setting = parse_line(section, line, where);
    use(setting);
    const auto [first, is_new] = line_of_key.emplace(setting.name(), number);
    if (!is_new) {
      throw ConfigError(
          fmt::format("{} is set twice ({} and line {} of the same file); keep one of the two lines",
                      setting.name(), where, first->second));
    }
  }
}

config::Config parse_ini(std::string_view text, std::string_view origin, config::Config base) {
  for_each_setting(text, origin, [&](const config::Setting& setting) {
    if (setting.key.empty()) {
      require_known_section(setting.section, setting.where);
    } else {
      config::set(base, setting.name(), setting.value, setting.where);
    }
  });
  return base;
}

std::string read_ini_file(const std::string& path) {
  constexpr std::string_view try_this =
      "give the path of a configuration file, such as configs/fashion_mnist/original.ini";
  if (const std::string reason = files::why_unreadable(path); !reason.empty()) {
    throw ConfigError(fmt::format("cannot read the configuration file {} ({}); {}", config::in_quotes(path),
                                  reason, try_this));
  }
  try {
    return files::read_regular_file(path, largest_file_bytes);
  } catch (const DataError& error) {
    throw ConfigError(
        fmt::format("{} is no configuration file ({}); {}", config::in_quotes(path), error.what(), try_this));
  }
}

}  // namespace switchyard::cli
