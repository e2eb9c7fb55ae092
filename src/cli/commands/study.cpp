#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/handshake.hpp"
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "config/describe.hpp"
#include "config/ini.hpp"
#include "run/config.hpp"
#include "study/check.hpp"
#include "study/study.hpp"

namespace switchyard::cli {
namespace {

// A key of a run that each rank may have of its own.
bool may_differ(const config::Setting& setting) {
  return std::ranges::any_of(run::schema().keys(), [&](const config::Key& key) {
    return key.name == setting.key && key.field->scope == config::Scope::rank;
  });
}

// What the study is, and all that it was read from in `things`.
study::Spec read_spec(Arguments arguments, std::vector<comm::Compared>& things) {
  const CommandLine line = parse_command_line(arguments, {.schemas = {&study::schema(), &run::schema()}});
  const std::string& file = only_positional(line, "study takes one study file", "switchyard study FILE.ini");
  std::vector<config::Setting> overrides;
  for (const Override& given : line.overrides)
    overrides.push_back({.section = {}, .key = given.key, .value = given.value, .where = "command line"});
  std::vector<config::Setting> settings;
  config::for_each_setting(read_ini_file(file), file,
                           [&](const config::Setting& setting) { settings.push_back(setting); });
  for (const auto* list : {&settings, &overrides}) {
    for (const config::Setting& setting : *list)
      if (!may_differ(setting)) things.push_back(compared_argument(setting.name(), setting.value));
  }
  return study::read_spec(file, settings, overrides, [&](const std::string& path) {
    run::Config base = read_configuration(path);
    std::ranges::move(compared_configuration(base, path + ": "), std::back_inserter(things));
    return base;
  });
}

}  // namespace

int study(Runtime& runtime, Arguments arguments) {
  comm::Communicator& world = runtime.communicator();
  study::Spec spec;
  std::vector<comm::Compared> things;
  const run::Config first = runtime.read_config([&] {
    run::Config newest;
    spec = read_spec(arguments, things);
    study::check_study(spec, world.size(), [&](const run::Config& config) {
      require_device(config.run);
      newest = config;
    });
    return newest;
  });
  comm::expect_same(world, ErrorKind::config, things);
  runtime.start_device(first.run, first.comm);
  const run::Outcome outcome = study::run_study(
      spec, {.world = &world,
             .device = [&](const run::Options& run) -> device::Context& { return runtime.adjust_device(run); },
             .make_plane = [&](comm::Communicator& group) { return runtime.make_plane(group); },
             .threads = runtime.threads(),
             .most_held_bytes = runtime.most_held_bytes(),
             .warnings = runtime.warnings(),
             .read_config = read_configuration,
             .out = &std::cout});
  if (runtime.is_root()) std::cout << outcome.reason << "; results are in " << spec.options.dir << std::endl;
  world.barrier();
  return static_cast<int>(outcome.code);
}

std::string study_help() {
  return R"(usage: switchyard study FILE.ini [--study.key=value ...] [--section.key=value ...]

Makes the runs of a study: every arm of the file with every seed; for an arm with several values of a key first
shorter series that select among them. Writes runs.csv, study.md and study.json into the study's folder. The same
command goes on where a study was stopped or killed. SIGUSR1 saves the runs under way and leaves with exit code 75.
docs/studies.md shows how a study is written. A key of a run, such as --data.dir=FOLDER, counts as one of [all].
)" + config::options_help(study::schema());
}

}  // namespace switchyard::cli
