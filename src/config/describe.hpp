// A schema in words: for messages, for --help and for docs/configuration.md.
#pragma once

#include <string>

#include "config/schema.hpp"

namespace switchyard::config {

// Which values a field may hold: "number above 0", "whole number from 0 to 1024", "auto, cpu or cuda".
std::string describe_values(const Field& field);

namespace detail {
// `standard` gives the default of a key as a user would write it; empty: none.
using Standard = std::function<std::string(const Key&)>;
std::string options_help(const SchemaOfAny& schema, const Standard& standard);
std::string markdown_tables(const SchemaOfAny& schema, const Standard& standard);
}  // namespace detail

// The --section.key options, section by section, with values, defaults and meaning.
template <class Whole>
std::string options_help(const Schema<Whole>& schema) {
  return detail::options_help(schema, [&](const Key& key) { return schema.default_text(key); });
}

// A heading and a table of the keys for each section.
template <class Whole>
std::string markdown_tables(const Schema<Whole>& schema) {
  return detail::markdown_tables(schema, [&](const Key& key) { return schema.default_text(key); });
}

}  // namespace switchyard::config
