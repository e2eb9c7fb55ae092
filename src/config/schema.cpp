#include "config/schema.hpp"

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
#include "config/setting.hpp"

namespace switchyard::config {
namespace {

struct Assignment {
  const Key& key;
  std::string_view text;
  std::string_view where;
};

[[noreturn]] void reject(const Assignment& wanted, std::string_view why) {
  throw ConfigError(fmt::format("{} = {} {} ({}); allowed: {}", wanted.key.name, in_quotes(wanted.text), why,
                                wanted.where, describe_values(*wanted.key.field)));
}

std::string_view after_dot(std::string_view name) { return name.substr(name.find('.') + 1); }

// A key in the wrong section, or without one, is as near as one mistyped letter; among equals the section
// decides.
std::pair<std::size_t, std::size_t> key_distance(std::string_view word, std::string_view name) {
  const std::size_t whole = edit_distance(word, name);
  return {std::min(whole, 1 + edit_distance(after_dot(word), after_dot(name))), whole};
}

std::string_view nearest_key(std::string_view word, Span<const Key> keys) {
  const std::string_view start = word.substr(0, 200);
  return std::ranges::min_element(keys, {}, [&](const Key& key) { return key_distance(start, key.name); })
      ->name;
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
  void* object;
  const Assignment& wanted;

  void operator()(const Integer& type) const {
    if (!type.automatic.empty() && wanted.text == type.automatic) return type.set(object, automatic_count);
    const auto value = parse_number<std::int64_t>(wanted, wanted.text, "whole number");
    if (value < type.min || value > type.max) reject(wanted, "is out of range");
    type.set(object, value);
  }
  void operator()(const Number& type) const {
    const auto value = parse_number<double>(wanted, wanted.text, "number");
    check_number(wanted, type.range, value);
    type.set(object, value);
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
    type.set(object, std::move(values));
  }
  void operator()(const Text& type) const {
    check_text(wanted);
    type.set(object, std::string(wanted.text));
  }
  void operator()(const Words& type) const {
    check_text(wanted);
    type.set(object, words_of(wanted.text));
  }
  void operator()(const Choice& type) const {
    const auto found = std::find(type.names.begin(), type.names.end(), wanted.text);
    if (found == type.names.end()) reject(wanted, wanted.text.empty() ? "is empty" : "is none of its values");
    type.set(object, as_size(found - type.names.begin()));
  }
};

struct Printer {
  const void* object;

  std::string operator()(const Integer& type) const {
    const std::int64_t value = type.get(object);
    if (!type.automatic.empty() && value == automatic_count) return std::string(type.automatic);
    return fmt::format("{}", value);
  }
  std::string operator()(const Number& type) const { return fmt::format("{}", type.get(object)); }
  std::string operator()(const Numbers& type) const {
    return fmt::format("{}", fmt::join(type.get(object), " "));
  }
  std::string operator()(const Text& type) const { return type.get(object); }
  std::string operator()(const Words& type) const {
    return fmt::format("{}", fmt::join(type.get(object), " "));
  }
  std::string operator()(const Choice& type) const { return std::string(type.names[type.get(object)]); }
};

}  // namespace

bool Range::contains(double value) const {
  return std::isfinite(value) && (min_excluded ? value > min : value >= min) &&
         (max_excluded ? value < max : value <= max);
}

SchemaOfAny::SchemaOfAny(std::vector<Section> sections, std::string_view listing)
    : sections_(std::move(sections)), listing_(listing) {
  for (const Section& section : sections_) {
    for (const Field& field : section.fields)
      keys_.push_back({fmt::format("{}.{}", section.name, field.key), &section, &field});
  }
}

Span<const Key> SchemaOfAny::keys_of(const Section& section) const {
  const auto first = std::ranges::find(keys_, &section, &Key::section) - keys_.begin();
  return keys().subspan(first, section.fields.size());
}

std::vector<std::string> SchemaOfAny::names() const {
  std::vector<std::string> names;
  for (const Key& key : keys_) names.push_back(key.name);
  return names;
}

const Key& SchemaOfAny::find(std::string_view name, std::string_view where) const {
  const auto found = std::ranges::find(keys_, name, &Key::name);
  if (found != keys_.end()) return *found;
  throw ConfigError(fmt::format("unknown key {} ({}); did you mean '{}'? {}", in_quotes(name), where,
                                nearest_key(name, keys_), listing_));
}

void SchemaOfAny::expect_section(std::string_view name, std::string_view where) const {
  std::vector<std::string_view> names;
  for (const Section& section : sections_) names.push_back(section.name);
  if (std::ranges::find(names, name) != names.end()) return;
  throw ConfigError(fmt::format("unknown section {} ({}); did you mean '{}'? sections are {}", in_quotes(name),
                                where, nearest(name, names), one_of(names)));
}

void SchemaOfAny::set(void* whole, std::string_view name, std::string_view text, std::string_view where) const {
  const Assignment wanted{find(name, where), text, where};
  std::visit(Setter{wanted.key.section->object(whole), wanted}, wanted.key.field->type);
}

// Sections give away a pointer to what they are shown; the printer only reads it.
std::string SchemaOfAny::text(const void* whole, const Key& key) const {
  return std::visit(Printer{key.section->object(const_cast<void*>(whole))}, key.field->type);
}

std::string SchemaOfAny::to_ini(const void* whole) const {
  std::string ini;
  for (const Section& section : sections_) {
    if (!section.is_in_use(whole)) continue;
    ini += fmt::format("{}[{}]\n", ini.empty() ? "" : "\n", section.name);
    for (const Key& key : keys_of(section)) ini += fmt::format("{} = {}\n", key.field->key, text(whole, key));
  }
  return ini;
}

void SchemaOfAny::check(const void* whole, void* copy) const {
  for (const Key& key : keys_) {
    const std::string value = text(whole, key);
    if (!key.section->is_in_use(whole) && value != text(copy, key)) {
      throw ConfigError(fmt::format("{} = {} without {} (nothing else reads the section [{}]); remove it",
                                    key.name, value, key.section->condition, key.section->name));
    }
    set(copy, key.name, value, "configuration");
  }
}

}  // namespace switchyard::config
