// From a sub-command's arguments to a run configuration: default < configuration file < command line.
//
// With ini.cpp the only place that knows Boost.Program_options. The keys come from config's field tables.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace switchyard::cli {

// One --section.key=value.
struct Override {
  std::string key;
  std::string value;
};

// The arguments after the sub-command, told apart. Values are not looked at yet.
struct CommandLine {
  std::vector<std::string> positionals;
  std::vector<Override> overrides;
};

// The keys that a command's options may name.
struct KnownKeys {
  std::vector<std::string> names;                                           // "section.key"
  std::function<void(std::string_view name, std::string_view where)> find;  // ConfigError if unknown
};
KnownKeys run_keys();

// Accepts --section.key=value and --section.key value, in any order with positionals; after `--` all are
// positional. Unknown key, a key given twice, a key without a value, a short option: ConfigError.
CommandLine parse_command_line(std::span<const std::string> arguments, const KnownKeys& keys = run_keys());

// Takes NAME=VALUE out of `words`, with the dashes of `name`: the value, or nothing. Given twice: ConfigError.
std::optional<std::string> take_option(std::vector<std::string>& words, std::string_view name);

// True if --help or -h is among the arguments (before `--`). Ask this before parsing them.
bool asks_for_help(std::span<const std::string> arguments);

struct ParsedRun {
  config::Config config;                     // validated
  std::vector<std::string> overridden_keys;  // of the command line, in its order
};

// For `train` and `plan`: FILE.ini [--section.key=value ...]. Reads the file; any mistake in it or in
// the arguments is a ConfigError.
ParsedRun parse_run_options(std::span<const std::string> arguments);

// Which keys a command may override in a configuration that exists already, and why no other.
struct OverrideRule {
  std::span<const std::string_view> allowed_keys;
  std::string_view why;  // "...cannot be changed (<why>); ..."
  std::string_view try_this;
};

// For `resume`: what changes neither the weights nor their order in time.
const OverrideRule& resume_rule();

// `base`, a stored configuration, with the overrides of `line`; validated. Leaves line.positionals to the
// caller, who needs them to find `base`. A key outside the rule is a ConfigError that says why and lists the
// allowed ones.
ParsedRun parse_overrides(config::Config base, const CommandLine& line, const OverrideRule& rule);

// The --section.key options, section by section, with values, defaults and meaning.
std::string run_options_help();

}  // namespace switchyard::cli
