#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/handshake.hpp"
#include "cli/ini.hpp"
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "config/parse.hpp"
#include "study/check.hpp"
#include "study/study.hpp"

namespace switchyard::cli {
namespace {

config::Config read_config(const std::string& path) { return parse_ini(read_ini_file(path), path); }

KnownKeys study_keys() {
  std::vector<std::string> names = study::known_keys();
  for (std::string& key : config::known_keys()) names.push_back(std::move(key));
  return {std::move(names), [](std::string_view name, std::string_view where) {
            if (name.starts_with("study.")) {
              study::find_field(name, where);
            } else {
              config::find_field(name, where);
            }
          }};
}

// What the study is, and all that it was read from in `things`.
study::Spec read_spec(Arguments arguments, std::vector<comm::Compared>& things) {
  const CommandLine line = parse_command_line(arguments, study_keys());
  if (line.positionals.size() != 1) {
    throw ConfigError(
        fmt::format("study takes one study file, and {} were given; try `switchyard study FILE.ini`",
                    line.positionals.size()));
  }
  std::vector<config::Setting> overrides;
  for (const Override& given : line.overrides)
    overrides.push_back({.section = {}, .key = given.key, .value = given.value, .where = "command line"});
  const std::string& file = line.positionals[0];
  std::vector<config::Setting> settings;
  for_each_setting(read_ini_file(file), file,
                   [&](const config::Setting& setting) { settings.push_back(setting); });
  for (const auto* list : {&settings, &overrides}) {
    for (const config::Setting& setting : *list)
      things.push_back(compared_argument(setting.name(), setting.value));
  }
  return study::read_spec(file, settings, overrides, [&](const std::string& path) {
    config::Config base = read_config(path);
    std::ranges::move(compared_configuration(base, path + ": "), std::back_inserter(things));
    return base;
  });
}

}  // namespace

int study(Runtime& runtime, Arguments arguments) {
  comm::Communicator& world = runtime.communicator();
  study::Spec spec;
  std::vector<comm::Compared> things;
  const config::Config first = runtime.read_config([&] {
    config::Config newest;
    spec = read_spec(arguments, things);
    study::check_study(spec, world.size(), [&](const config::Config& config) {
      require_device(config.run);
      newest = config;
    });
    return newest;
  });
  comm::expect_same(world, ErrorKind::config, things);
  runtime.start_device(first.run);
  const run::Outcome outcome = study::run_study(
      spec, {.world = &world,
             .device = [&](const config::Run& run) -> device::Context& { return runtime.adjust_device(run); },
             .threads = runtime.threads(),
             .warnings = runtime.warnings(),
             .read_config = read_config,
             .out = &std::cout});
  if (runtime.is_root()) std::cout << outcome.reason << "; results are in " << spec.options.dir << std::endl;
  world.barrier();
  return static_cast<int>(outcome.code);
}

std::string study_help() {
  std::string text = R"(usage: switchyard study FILE.ini [--study.key=value ...] [--section.key=value ...]

Makes the runs of a study: every arm of the file with every seed; for an arm with several values of a key first
shorter series that select among them. Writes runs.csv, study.md and study.json into the study's folder. The same
command goes on where a study was stopped or killed. SIGUSR1 saves the runs under way and leaves with exit code 75.
docs/studies.md shows how a study is written. A key of a run, such as --data.dir=FOLDER, counts as one of [all].

[study]
)";
  std::size_t width = 0;
  for (const study::Field& field : study::fields()) width = std::max(width, field.key.size());
  for (const study::Field& field : study::fields()) {
    const std::string standard = study::describe_default(field);
    text += fmt::format("  --study.{:<{}}  {}\n          {:<{}}  {}{}\n", field.key, width, field.help, "",
                        width, study::describe_values(field),
                        standard.empty() ? "; no default" : fmt::format("; default {}", standard));
  }
  return text;
}

}  // namespace switchyard::cli
