#include "config/describe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/messages.hpp"

namespace switchyard::config {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::string describe(const Range& range) {
  if (range.min == -infinity && range.max == infinity) return "any number";
  if (range.max == infinity) {
    return range.min_excluded ? fmt::format("number above {}", range.min)
                              : fmt::format("number, at least {}", range.min);
  }
  return fmt::format("number from {}{} to {}{}", range.min_excluded ? "above " : "", range.min,
                     range.max_excluded ? "below " : "", range.max);
}

struct Describer {
  std::string operator()(const Integer& type) const {
    return fmt::format("{}whole number from {} to {}",
                       type.automatic.empty() ? "" : fmt::format("{}, or ", type.automatic), type.min,
                       type.max);
  }
  std::string operator()(const Number& type) const { return describe(type.range); }
  std::string operator()(const Numbers& type) const {
    return describe(type.range) + "; or several, with a space between";
  }
  std::string operator()(const Text&) const { return "text without '#'"; }
  std::string operator()(const Words&) const { return "words with spaces between"; }
  std::string operator()(const Choice& type) const { return one_of(type.names); }
};

// Of a cell: a bar would end it.
std::string escaped(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string code(const std::string& text) { return text.empty() ? "" : fmt::format("`{}`", text); }

}  // namespace

std::string describe_values(const Field& field) {
  std::string values = std::visit(Describer{}, field.type);
  if (!field.unit.empty()) values += fmt::format(" ({})", field.unit);
  return values;
}

std::string options_help(const SchemaOfAny& schema, std::string_view only) {
  std::size_t width = 0;
  for (const Key& key : schema.keys()) width = std::max(width, key.name.size());
  std::string help;
  for (const Section& section : schema.sections()) {
    if (!only.empty() && section.name != only) continue;
    help += fmt::format("\n[{}] {}\n", section.name, section.help);
    for (const Key& key : schema.keys_of(section)) {
      const std::string value = schema.default_text(key);
      help += fmt::format("  --{:<{}}  {}\n    {:<{}}  {}{}\n", key.name, width, key.field->help, "", width,
                          describe_values(*key.field),
                          value.empty() ? "; no default" : fmt::format("; default {}", value));
    }
  }
  return help;
}

std::string markdown_tables(const SchemaOfAny& schema) {
  std::string page;
  for (const Section& section : schema.sections()) {
    page += fmt::format("\n## [{}]: {}\n\n| key | default | values | meaning |\n|---|---|---|---|\n",
                        section.name, section.help);
    for (const Key& key : schema.keys_of(section)) {
      page += fmt::format("| `{}` | {} | {} | {} |\n", key.field->key, code(schema.default_text(key)),
                          describe_values(*key.field), escaped(key.field->help));
    }
  }
  return page;
}

}  // namespace switchyard::config
