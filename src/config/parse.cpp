#include "config/parse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "config/describe.hpp"
#include "config/messages.hpp"

namespace switchyard::config {
namespace {

constexpr std::string_view list_of_keys = "'switchyard help configuration' lists all keys";

struct Assignment {
  const Field& field;
  std::string_view text;
  std::string_view where;
};

[[noreturn]] void reject(const Assignment& wanted, std::string_view why) {
  throw ConfigError(fmt::format("{} = {} {} ({}); allowed: {}", wanted.field.name(), in_quotes(wanted.text),
                                why, wanted.where, describe_values(wanted.field)));
}

std::string_view after_dot(std::string_view name) { return name.substr(name.find('.') + 1); }

// A key in the wrong section, or without one, is as near as one mistyped letter; among equals the section
// decides.
std::pair<std::size_t, std::size_t> key_distance(std::string_view word, std::string_view name) {
  const std::size_t whole = edit_distance(word, name);
  return {std::min(whole, 1 + edit_distance(after_dot(word), after_dot(name))), whole};
}

std::string nearest_key(std::string_view word) {
  const std::string_view start = word.substr(0, 200);
  const std::vector<std::string> keys = known_keys();
  return *std::min_element(keys.begin(), keys.end(), [&](const std::string& a, const std::string& b) {
    return key_distance(start, a) < key_distance(start, b);
  });
}

// `text`, the whole value or a part of it, as a number, or a rejection that says `kind` of number it is not.
template <class Value>
Value parse_number(const Assignment& wanted, std::string_view text, std::string_view kind) {
  if (wanted.text.empty()) reject(wanted, "is empty");
  Value value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::invalid_argument || stopped != end) reject(wanted, fmt::format("is not a {}", kind));
  if (error == std::errc::result_out_of_range) reject(wanted, "is out of range");
  return value;
}

// Numbers are kept in 64 bits and used in 32.
void check_number(const Assignment& wanted, const Range& range, double value) {
  if (!range.contains(value)) reject(wanted, "is out of range");
  if (value == 0) return;
  if (std::abs(value) < static_cast<double>(std::numeric_limits<float>::min()))
    reject(wanted, "is 0 in float32, whose smallest number is 1.2e-38");
  if (std::abs(value) > static_cast<double>(std::numeric_limits<float>::max()))
    reject(wanted, "is infinite in float32, whose largest number is 3.4e38");
}

// What an INI line cannot carry: it would not come back from to_ini().
void check_text(const Assignment& wanted) {
  const std::string_view text = wanted.text;
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), control)) reject(wanted, "has a control character");
  if (text.find('#') != text.npos) reject(wanted, "has a '#', which starts a comment in a configuration file");
  if (!text.empty() && (text.front() == ' ' || text.back() == ' ')) reject(wanted, "has a space at an end");
}

// One overload per type of field.
struct Setter {
  Config& config;
  const Assignment& wanted;

  void operator()(const Integer& type) const {
    if (!type.automatic.empty() && wanted.text == type.automatic) return type.set(config, automatic_count);
    const auto value = parse_number<std::int64_t>(wanted, wanted.text, "whole number");
    if (value < type.min || value > type.max) reject(wanted, "is out of range");
    type.set(config, value);
  }
  void operator()(const Number& type) const {
    const auto value = parse_number<double>(wanted, wanted.text, "number");
    check_number(wanted, type.range, value);
    type.set(config, value);
  }
  void operator()(const Numbers& type) const {
    std::vector<double> values;
    for (std::string_view rest = wanted.text;;) {
      const std::size_t space = rest.find(' ');
      values.push_back(
          parse_number<double>(wanted, rest.substr(0, space), "number, or numbers with one space between"));
      check_number(wanted, type.range, values.back());
      if (space == rest.npos) break;
      rest.remove_prefix(space + 1);
    }
    type.set(config, std::move(values));
  }
  void operator()(const Text& type) const {
    check_text(wanted);
    type.set(config, std::string(wanted.text));
  }
  void operator()(const Choice& type) const {
    const auto found = std::find(type.names.begin(), type.names.end(), wanted.text);
    if (found == type.names.end()) reject(wanted, wanted.text.empty() ? "is empty" : "is none of its values");
    type.set(config, static_cast<std::size_t>(found - type.names.begin()));
  }
};

struct Printer {
  const Config& config;

  std::string operator()(const Integer& type) const {
    const std::int64_t value = type.get(config);
    if (!type.automatic.empty() && value == automatic_count) return std::string(type.automatic);
    return fmt::format("{}", value);
  }
  std::string operator()(const Number& type) const { return fmt::format("{}", type.get(config)); }
  std::string operator()(const Numbers& type) const {
    return fmt::format("{}", fmt::join(type.get(config), " "));
  }
  std::string operator()(const Text& type) const { return type.get(config); }
  std::string operator()(const Choice& type) const { return std::string(type.names[type.get(config)]); }
};

}  // namespace

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  for (const Section& section : sections()) {
    for (const Field& field : section.fields) keys.push_back(field.name());
  }
  return keys;
}

const Field& find_field(std::string_view name, std::string_view where) {
  for (const Section& section : sections()) {
    for (const Field& field : section.fields) {
      if (field.name() == name) return field;
    }
  }
  throw ConfigError(fmt::format("unknown key {} ({}); did you mean '{}'? {}", in_quotes(name), where,
                                nearest_key(name), list_of_keys));
}

void set(Config& config, std::string_view name, std::string_view text, std::string_view where) {
  const Assignment wanted{find_field(name, where), text, where};
  std::visit(Setter{config, wanted}, wanted.field.type);
}

std::string value_text(const Config& config, const Field& field) {
  return std::visit(Printer{config}, field.type);
}

std::string to_ini(const Config& config) {
  std::string ini;
  for (const Section& section : sections()) {
    ini += fmt::format("{}[{}]\n", ini.empty() ? "" : "\n", section.name);
    for (const Field& field : section.fields) {
      ini += fmt::format("{} = {}\n", field.key, value_text(config, field));
    }
  }
  return ini;
}

}  // namespace switchyard::config
