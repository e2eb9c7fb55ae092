// Configuration files: INI text through Boost.Program_options' parser, with the line of every value.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "config/setting.hpp"

namespace switchyard::cli {

// `base` with every key that the INI text sets. `origin` names the text in messages ("run.ini", "checkpoint
// step-0000200.h5"). Unknown section, unknown or repeated key, a line that is neither, a value that does not
// fit: ConfigError with origin:line. Does not validate across fields: the command line may still change it.
config::Config parse_ini(std::string_view text, std::string_view origin, config::Config base = {});

// Calls `use` for every line of INI text that says something, in order: a section's own line (its key is empty)
// and each setting. A line that is neither, and a key that is set twice: ConfigError with origin:line. Whether
// sections and keys are known is for `use` to say; it sees a repeated key before it is refused.
void for_each_setting(std::string_view text, std::string_view origin,
                      const std::function<void(const config::Setting&)>& use);

// The text of a configuration file. A missing, unreadable or absurdly large file is a ConfigError with the
// path.
std::string read_ini_file(const std::string& path);

}  // namespace switchyard::cli
