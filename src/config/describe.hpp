// A schema in words: for messages, for --help and for docs/configuration.md.
#pragma once

#include <string>
#include <string_view>

#include "config/schema.hpp"

namespace switchyard::config {

// Which values a field may hold: "number above 0", "whole number from 0 to 1024", "auto, cpu or cuda".
std::string describe_values(const Field& field);

// The --section.key options, section by section, or of that one alone, with values, defaults and meaning. Empty
// where there is no such section.
std::string options_help(const SchemaOfAny& schema, std::string_view only = {});

// A heading and a table of the keys for each section.
std::string markdown_tables(const SchemaOfAny& schema);

}  // namespace switchyard::config
