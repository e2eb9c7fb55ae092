// INI text: sections, settings and comments, with the line of every value. Reads no file.
#pragma once

#include <functional>
#include <string_view>

#include "config/schema.hpp"
#include "config/setting.hpp"

namespace switchyard::config {

// Calls `use` for every line of INI text that says something, in order: a section's own line (its key is empty)
// and each setting. A line that is neither, and a key that is set twice: ConfigError with origin:line. `origin`
// names the text ("run.ini"). Whether sections and keys are known is for `use` to say; it sees a repeated key
// before it is refused.
void for_each_setting(std::string_view text, std::string_view origin,
                      const std::function<void(const Setting&)>& use);

// `base` with every key that the INI text sets. Unknown section, unknown or repeated key, a line that is
// neither, a value that does not fit: ConfigError with origin:line. Does not check the whole: the command line
// may still change it.
template <class Whole>
Whole parse_ini(const Schema<Whole>& schema, std::string_view text, std::string_view origin, Whole base = {}) {
  for_each_setting(text, origin, [&](const Setting& setting) {
    if (setting.key.empty()) {
      schema.expect_section(setting.section, setting.where);
    } else {
      schema.set(base, setting.name(), setting.value, setting.where);
    }
  });
  return base;
}

}  // namespace switchyard::config
