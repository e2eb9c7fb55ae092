#include "cli/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <new>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "files/regular_file.hpp"
#include "run/config.hpp"
#include "run/validate.hpp"

namespace switchyard::cli {
namespace {

namespace po = boost::program_options;

po::options_description option_table(const KnownOptions& known) {
  po::options_description table;
  for (const std::string_view name : known.own)
    table.add_options()(std::string(name).c_str(), po::value<std::string>());
  for (const config::SchemaOfAny* schema : known.schemas) {
    for (const config::Key& key : schema->keys())
      table.add_options()(key.name.c_str(), po::value<std::string>());
  }
  return table;
}

// ConfigError unless one of them has this name; with the nearest one of the schema that has its section.
void expect_known(const KnownOptions& known, std::string_view name) {
  if (std::ranges::find(known.own, name) != known.own.end()) return;
  const auto has_section = [&](const config::SchemaOfAny* schema) {
    return std::ranges::any_of(schema->sections(), [&](const config::Section& section) {
      return name.substr(0, name.find('.')) == section.name;
    });
  };
  const auto found = std::ranges::find_if(known.schemas, has_section);
  if (found != known.schemas.end()) {
    (*found)->find(name, command_line);
  } else if (!known.schemas.empty() && (known.own.empty() || name.find('.') != name.npos)) {
    known.schemas.back()->find(name, command_line);
  } else {
    throw ConfigError(fmt::format(
        "--{} is no option of this command (command line); {}{}", name,
        known.own.empty() ? "it takes none" : fmt::format("there is --{}", fmt::join(known.own, ", --")),
        known.schemas.empty() ? "" : ", and each key as --section.key=value"));
  }
}

// "--optim.beta1=0.5" and "optim.beta1" give "optim.beta1".
std::string key_of(std::string_view token) {
  token.remove_prefix(std::min(token.find_first_not_of('-'), token.size()));
  return std::string(token.substr(0, token.find('=')));
}

[[noreturn]] void reject_missing_value(std::string_view token, const KnownOptions& known) {
  const std::string key = key_of(token);
  expect_known(known, key);  // an unknown key is the greater mistake
  throw ConfigError(fmt::format("--{0} has no value (command line); write --{0}=VALUE, or leave it away", key));
}

// Boost's parsing; its exceptions become ours. Guessing of abbreviated keys is off: a new key must not change
// what an old command means.
std::vector<po::option> split(Span<const std::string> arguments, const KnownOptions& known) {
  using namespace po::command_line_style;
  const po::options_description table = option_table(known);
  try {
    return po::command_line_parser(std::vector<std::string>(arguments.begin(), arguments.end()))
        .options(table)
        .style(allow_long | long_allow_adjacent | long_allow_next)
        .run()
        .options;
  } catch (const po::unknown_option& error) {
    const std::string key = key_of(error.get_option_name());
    expect_known(known, key);
    // Boost's table lacks a key that is in ours where memory was short: it read the key's name from a stream.
    throw std::bad_alloc();
  } catch (const po::invalid_command_line_syntax& error) {
    reject_missing_value(error.tokens(), known);
  } catch (const po::error& error) {
    throw ConfigError(fmt::format("{} (command line); write --section.key=value", error.what()));
  }
}

void add_option(CommandLine& line, const po::option& option, const KnownOptions& known) {
  const auto& tokens = option.original_tokens;
  // "--data.dir --run.seed=3": Boost takes the second for the value of the first.
  if (option.value.empty() || (tokens.size() > 1 && tokens[1].starts_with("--")))
    reject_missing_value(tokens.at(0), known);
  const Override added{option.string_key, option.value[0]};
  const auto twice = [&](const std::string& earlier) {
    throw ConfigError(fmt::format("--{} is given twice (command line, {} and {}); keep one of them", added.key,
                                  config::in_quotes(earlier), config::in_quotes(added.value)));
  };
  for (const Override& earlier : line.overrides) {
    if (earlier.key == added.key) twice(earlier.value);
  }
  if (std::ranges::find(known.own, added.key) == known.own.end()) {
    line.overrides.push_back(added);
  } else if (const auto [earlier, is_new] = line.options.emplace(added.key, added.value); !is_new) {
    twice(earlier->second);
  }
}

run::Config with_overrides(run::Config config, const CommandLine& line) {
  for (const Override& override : line.overrides)
    run::schema().set(config, override.key, override.value, command_line);
  run::validate(config);
  return config;
}

constexpr std::size_t largest_file_bytes = 1 << 20;

}  // namespace

CommandLine parse_command_line(Span<const std::string> arguments, const KnownOptions& known) {
  CommandLine line;
  for (const po::option& option : split(arguments, known)) {
    if (!option.string_key.empty()) {
      add_option(line, option, known);
      continue;
    }
    const std::string& word = option.value.at(0);
    if (word.size() > 1 && word.front() == '-' && option.original_tokens.at(0) == word) {
      throw ConfigError(fmt::format("{} is no option (command line); options are written --section.key=value",
                                    config::in_quotes(word)));
    }
    line.positionals.push_back(word);
  }
  return line;
}

CommandLine parse_command_line(Span<const std::string> arguments) {
  return parse_command_line(arguments, {.schemas = {&run::schema()}});
}

std::optional<std::string> CommandLine::option(std::string_view name) const {
  const auto found = options.find(name);
  return found == options.end() ? std::nullopt : std::optional(found->second);
}

const std::string& only_positional(const CommandLine& line, std::string_view takes, std::string_view try_this) {
  if (line.positionals.size() == 1) return line.positionals[0];
  throw ConfigError(fmt::format("{}, and {} were given; try `{}`", takes, line.positionals.size(), try_this));
}

bool asks_for_help(Span<const std::string> arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

std::string read_ini_file(const std::string& path) {
  constexpr std::string_view try_this =
      "give the path of a configuration file, such as configs/fashion_mnist/original.ini";
  if (const std::string reason = files::why_unreadable(path); !reason.empty()) {
    throw ConfigError(fmt::format("cannot read the configuration file {} ({}); {}", config::in_quotes(path),
                                  reason, try_this));
  }
  try {
    return files::read_regular_file(path, largest_file_bytes);
  } catch (const DataError& error) {
    throw ConfigError(
        fmt::format("{} is no configuration file ({}); {}", config::in_quotes(path), error.what(), try_this));
  }
}

run::Config read_configuration(const std::string& path) { return run::parse_config(read_ini_file(path), path); }

run::Config parse_run_options(const CommandLine& line) {
  if (line.positionals.empty()) {
    throw ConfigError(
        "no configuration file is given (command line); name one first, such as "
        "configs/fashion_mnist/original.ini, then --section.key=value");
  }
  if (line.positionals.size() > 1) {
    throw ConfigError(
        fmt::format("one configuration file is expected, but {} and {} are given (command line); give "
                    "one, and write settings as --section.key=value",
                    config::in_quotes(line.positionals[0]), config::in_quotes(line.positionals[1])));
  }
  return with_overrides(read_configuration(line.positionals[0]), line);
}

run::Config parse_run_options(Span<const std::string> arguments) {
  return parse_run_options(parse_command_line(arguments));
}

const OverrideRule resume_rule{
    .allows = run::may_change_on_resume,
    .why = "a resumed run computes what the whole run would have; this key would change that",
    .try_this = "to use another value, start a new run with 'switchyard train'"};

std::vector<std::string_view> allowed_keys(const OverrideRule& rule) {
  std::vector<std::string_view> allowed;
  for (const config::Key& key : run::schema().keys()) {
    if (rule.allows(*key.field)) allowed.push_back(key.name);
  }
  return allowed;
}

run::Config parse_overrides(run::Config base, const CommandLine& line, const OverrideRule& rule) {
  for (const Override& override : line.overrides) {
    if (rule.allows(*run::schema().find(override.key, command_line).field)) continue;
    throw ConfigError(fmt::format("{} cannot be changed here ({}); {}. May be changed: {}", override.key,
                                  rule.why, rule.try_this, fmt::join(allowed_keys(rule), ", ")));
  }
  return with_overrides(std::move(base), line);
}

}  // namespace switchyard::cli
