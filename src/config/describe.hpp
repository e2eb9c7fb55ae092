// The field tables in words: for messages, for --help and for docs/configuration.md.
#pragma once

#include <string>

#include "config/fields.hpp"

namespace switchyard::config {

// Which values a field may hold: "number above 0", "whole number from 0 to 1024", "auto, cpu or cuda".
std::string describe_values(const Field& field);

// The default as the user would write it; empty for a text without one.
std::string describe_default(const Field& field);

// The text of docs/configuration.md: a table of the fields for each section.
std::string configuration_markdown();

}  // namespace switchyard::config
