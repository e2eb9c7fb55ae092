// Configuration values from text and back. Reads no file: cli does, and says here where a text came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/fields.hpp"

namespace switchyard::config {

// "section.key" of every field, in table order.
std::vector<std::string> known_keys();

// The field called `name` ("section.key"). `where` goes into messages: "run.ini:12", "command line".
// An unknown name is a ConfigError that names the nearest known key.
const Field& find_field(std::string_view name, std::string_view where);

// Sets the field called `name` from `text` as a user wrote it. Unknown key, malformed value, value out of
// range: ConfigError with key, value, allowed values and `where`; `config` is then unchanged.
void set(Config& config, std::string_view name, std::string_view text, std::string_view where);

// The field's value, as set() reads it and gets the same bits.
std::string value_text(const Config& config, const Field& field);

// The whole effective configuration as INI text, every section and key in table order. Reading it gives an
// equal Config (doubles in the shortest text that gives the same bits), so two texts are equal when two
// configurations are. Expects a Config that validate() accepts.
std::string to_ini(const Config& config);

}  // namespace switchyard::config
