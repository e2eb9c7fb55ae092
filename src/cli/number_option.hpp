// Numbers among the options of a command that are no keys of a configuration.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cli/options.hpp"

namespace switchyard::cli {

struct Range {
  double smallest, largest;
  std::string_view text;  // "a number from 0 on"
  bool is_open = false;   // the smallest is not part of it
};

// Of --name=NUMBER, or `otherwise` where it is not given. ConfigError if it is not in the range.
template <class T>
T number_of(const CommandLine& line, std::string_view name, T otherwise, const Range& range) {
  const std::optional<std::string> text = line.option(name);
  if (!text) return otherwise;
  const char* const end = text->data() + text->size();
  T value{};
  const auto parsed = std::from_chars(text->data(), end, value);
  const auto number = static_cast<double>(value);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(number) || number < range.smallest ||
      number > range.largest || (range.is_open && number == range.smallest)) {
    throw ConfigError(fmt::format("--{}={} is not {}; try --{}={}", name, *text, range.text, name, otherwise));
  }
  return value;
}

}  // namespace switchyard::cli
