// From a sub-command's arguments to a run configuration: default < configuration file < command line.
//
// The only place that knows Boost.Program_options. The keys come from the rooms' field tables.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "config/schema.hpp"

namespace switchyard::run {
struct Config;
}

namespace switchyard::cli {

// Where an option was found, in messages.
inline constexpr std::string_view command_line = "command line";

// One --section.key=value.
struct Override {
  std::string key;
  std::string value;
};

// The arguments after the sub-command, told apart. Values are not looked at yet.
struct CommandLine {
  std::vector<std::string> positionals;
  std::vector<Override> overrides;
  std::map<std::string, std::string, std::less<>> options;  // the command's own: "ranks" of --ranks=4

  std::optional<std::string> option(std::string_view name) const;
};

// What a command's options may name.
struct KnownOptions {
  std::vector<const config::SchemaOfAny*> schemas = {};  // the keys of these: --section.key=value
  std::vector<std::string_view> own = {};                // without a section: --ranks=4
};

// Accepts --key=value and --key value, in any order with positionals; after `--` all are positional. Unknown
// key, a key given twice, a key without a value, a short option: ConfigError.
CommandLine parse_command_line(Span<const std::string> arguments, const KnownOptions& known);
// With the keys of a run.
CommandLine parse_command_line(Span<const std::string> arguments);

// The only positional. ConfigError otherwise: "report takes one folder, and 2 were given; try `switchyard
// ...`".
const std::string& only_positional(const CommandLine& line, std::string_view takes, std::string_view try_this);

// True if --help or -h is among the arguments (before `--`). Ask this before parsing them.
bool asks_for_help(Span<const std::string> arguments);

// The text of a configuration file. A missing, unreadable or absurdly large file is a ConfigError with the
// path.
std::string read_ini_file(const std::string& path);
// The configuration in that file, as it stands: not validated, since the command line may still change it.
run::Config read_configuration(const std::string& path);

// For `train`, `plan` and others: FILE.ini [--section.key=value ...]. Reads the file; any mistake in it or in
// the line is a ConfigError. The result is validated.
run::Config parse_run_options(const CommandLine& line);
run::Config parse_run_options(Span<const std::string> arguments);

// Which keys a command may override in a configuration that exists already, and why no other.
struct OverrideRule {
  bool (*allows)(const config::Field& field);  // by its role
  std::string_view why;                        // "...cannot be changed (<why>); ..."
  std::string_view try_this;
};

// For `resume`. Not train.epochs: it moves the end of the schedule.
extern const OverrideRule resume_rule;

// The keys that it allows, in the order of the tables.
std::vector<std::string_view> allowed_keys(const OverrideRule& rule);

// `base`, a stored configuration, with the overrides of `line`; validated. Leaves line.positionals to the
// caller, who needs them to find `base`. A key outside the rule is a ConfigError that says why and lists the
// allowed ones.
run::Config parse_overrides(run::Config base, const CommandLine& line, const OverrideRule& rule);

}  // namespace switchyard::cli
