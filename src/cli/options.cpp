#include "cli/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <new>

#include "base/error.hpp"
#include "cli/ini.hpp"
#include "config/describe.hpp"
#include "config/messages.hpp"
#include "config/parse.hpp"
#include "config/validate.hpp"

namespace switchyard::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view command_line = "command line";

po::options_description option_table(const KnownKeys& keys) {
  po::options_description table;
  for (const std::string& key : keys.names) table.add_options()(key.c_str(), po::value<std::string>());
  return table;
}

// "--optim.beta1=0.5" and "optim.beta1" give "optim.beta1".
std::string key_of(std::string_view token) {
  token.remove_prefix(std::min(token.find_first_not_of('-'), token.size()));
  return std::string(token.substr(0, token.find('=')));
}

[[noreturn]] void reject_missing_value(std::string_view token, const KnownKeys& keys) {
  const std::string key = key_of(token);
  keys.find(key, command_line);  // an unknown key is the greater mistake
  throw ConfigError(
      fmt::format("--{0} has no value (command line); write --{0}=VALUE, or leave it away for the "
                  "value of the file or the default",
                  key));
}

// Boost's parsing; its exceptions become ours. Guessing of abbreviated keys is off: a new key must not change
// what an old command means.
std::vector<po::option> split(std::span<const std::string> arguments, const KnownKeys& keys) {
  using namespace po::command_line_style;
  const po::options_description table = option_table(keys);
  try {
    return po::command_line_parser(std::vector<std::string>(arguments.begin(), arguments.end()))
        .options(table)
        .style(allow_long | long_allow_adjacent | long_allow_next)
        .run()
        .options;
  } catch (const po::unknown_option& error) {
    const std::string key = key_of(error.get_option_name());
    keys.find(key, command_line);
    // Boost's table lacks a key that is in ours where memory was short: it read the key's name from a stream.
    if (std::ranges::find(keys.names, key) != keys.names.end()) throw std::bad_alloc();
    throw ConfigError(fmt::format("{} (command line); write --section.key=value", error.what()));
  } catch (const po::invalid_command_line_syntax& error) {
    reject_missing_value(error.tokens(), keys);
  } catch (const po::error& error) {
    throw ConfigError(fmt::format("{} (command line); write --section.key=value", error.what()));
  }
}

void add_override(CommandLine& line, const po::option& option, const KnownKeys& keys) {
  const auto& tokens = option.original_tokens;
  // "--data.dir --run.seed=3": Boost takes the second for the value of the first.
  if (option.value.empty() || (tokens.size() > 1 && tokens[1].starts_with("--")))
    reject_missing_value(tokens.at(0), keys);
  const Override added{option.string_key, option.value[0]};
  for (const Override& earlier : line.overrides) {
    if (earlier.key != added.key) continue;
    throw ConfigError(fmt::format("--{} is given twice (command line, {} and {}); keep one of them", added.key,
                                  config::in_quotes(earlier.value), config::in_quotes(added.value)));
  }
  line.overrides.push_back(added);
}

void apply(const std::vector<Override>& overrides, ParsedRun& run) {
  for (const Override& override : overrides) {
    config::set(run.config, override.key, override.value, command_line);
    run.overridden_keys.push_back(override.key);
  }
  config::validate(run.config);
}

// Not in the list, on purpose: train.epochs (it moves the end of the schedule), and whatever the arithmetic
// reads.
constexpr std::array<std::string_view, 9> resume_keys = {"run.threads",
                                                         "run.max_minutes",
                                                         "run.device",
                                                         "run.wait_seconds",
                                                         "train.max_steps",
                                                         "train.log_every_steps",
                                                         "checkpoint.every_steps",
                                                         "checkpoint.keep_last",
                                                         "data.dir"};

constexpr OverrideRule the_resume_rule{
    .allowed_keys = resume_keys,
    .why = "a resumed run computes what the whole run would have; this key would change that",
    .try_this = "to use another value, start a new run with 'switchyard train'"};

}  // namespace

KnownKeys run_keys() {
  return {config::known_keys(),
          [](std::string_view name, std::string_view where) { config::find_field(name, where); }};
}

CommandLine parse_command_line(std::span<const std::string> arguments, const KnownKeys& keys) {
  CommandLine line;
  for (const po::option& option : split(arguments, keys)) {
    if (!option.string_key.empty()) {
      add_override(line, option, keys);
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

std::optional<std::string> take_option(std::vector<std::string>& words, std::string_view name) {
  std::optional<std::string> value;
  std::erase_if(words, [&](const std::string& word) {
    if (!word.starts_with(name) || word.size() == name.size() || word[name.size()] != '=') return false;
    if (value) throw ConfigError(fmt::format("{} is given twice; give it once", name));
    value = word.substr(name.size() + 1);
    return true;
  });
  return value;
}

bool asks_for_help(std::span<const std::string> arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

ParsedRun parse_run_options(std::span<const std::string> arguments) {
  const CommandLine line = parse_command_line(arguments);
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
  const std::string& path = line.positionals[0];
  ParsedRun run{parse_ini(read_ini_file(path), path), {}};
  apply(line.overrides, run);
  return run;
}

const OverrideRule& resume_rule() { return the_resume_rule; }

ParsedRun parse_overrides(config::Config base, const CommandLine& line, const OverrideRule& rule) {
  for (const Override& override : line.overrides) {
    if (std::find(rule.allowed_keys.begin(), rule.allowed_keys.end(), override.key) != rule.allowed_keys.end())
      continue;
    throw ConfigError(fmt::format("{} cannot be changed here ({}); {}. May be changed: {}", override.key,
                                  rule.why, rule.try_this, fmt::join(rule.allowed_keys, ", ")));
  }
  ParsedRun run{std::move(base), {}};
  apply(line.overrides, run);
  return run;
}

std::string run_options_help() {
  std::string help = "Settings: section.key of the file, written --section.key=value here.\n";
  for (const config::Section& section : config::sections()) {
    std::size_t width = 0;
    for (const config::Field& field : section.fields) width = std::max(width, field.name().size());
    help += fmt::format("\n[{}] {}\n", section.name, section.help);
    for (const config::Field& field : section.fields) {
      const std::string standard = config::describe_default(field);
      help += fmt::format("  --{:<{}}  {}\n    {:<{}}  {}{}\n", field.name(), width, field.help, "", width,
                          config::describe_values(field),
                          standard.empty() ? "; no default" : fmt::format("; default {}", standard));
    }
  }
  return help;
}

}  // namespace switchyard::cli
