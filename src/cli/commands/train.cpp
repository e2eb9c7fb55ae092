#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/start_table.hpp"
#include "cli/handshake.hpp"
#include "cli/ini.hpp"
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "comm/text.hpp"
#include "config/parse.hpp"
#include "files/regular_file.hpp"
#include "run/run.hpp"
#include "run/shared_inputs.hpp"

namespace switchyard::cli {
namespace {

// What the newest valid checkpoint says its configuration is.
config::Config stored_config(const std::filesystem::path& checkpoint) {
  const checkpoint::Reader reader{checkpoint};
  return parse_ini(reader.text("config"), checkpoint.string());
}

struct Changed {
  std::string key, then, now;
};

// Keys whose values differ, but for the run folder, which may have moved, and how the command was told to take
// it.
std::vector<Changed> changes(const config::Config& then, const config::Config& now) {
  std::vector<Changed> changed;
  for (const std::string& key : config::known_keys()) {
    const config::Field& field = config::find_field(key, "the run");
    Changed values{key, config::value_text(then, field), config::value_text(now, field)};
    if (values.then != values.now && key != "run.dir" && key != "run.resume")
      changed.push_back(std::move(values));
  }
  return changed;
}

bool may_change(const Changed& changed) {
  return std::ranges::find(resume_rule().allowed_keys, changed.key) != resume_rule().allowed_keys.end();
}

// `wanted` may differ from the run's own configuration in the keys that a resume may override.
void check_same_run(const config::Config& wanted, const config::Config& stored) {
  for (const Changed& changed : changes(stored, wanted)) {
    if (may_change(changed)) continue;
    throw ConfigError(fmt::format(
        "the run in {} has {} = {}, and this command says {} ({}); use another run.dir, or leave the key "
        "as it was",
        wanted.run.dir, changed.key, changed.then, changed.now, resume_rule().why));
  }
}

// A run that goes on reads its checkpoint: whoever edited config.ini in its folder must hear that. Returns the
// edits of keys that a resume may override.
std::vector<Changed> check_config_file(const std::filesystem::path& file, const config::Config& stored) {
  if (!files::is_there(file)) return {};
  std::vector<Changed> edits = changes(stored, parse_ini(read_ini_file(file.string()), file.string()));
  for (const Changed& edit : edits) {
    if (may_change(edit)) continue;
    throw ConfigError(fmt::format(
        "{0} was changed: it has {1} = {2}, and the run has {3} (it goes on as its checkpoint says; {4}); "
        "put the line back, or start another run with this file and the run's weights: `switchyard train "
        "{0} --run.dir=PATH --init.from={5}`",
        file.string(), edit.key, edit.now, edit.then, resume_rule().why, file.parent_path().string()));
  }
  return edits;
}

// What a resume goes on with that `line` does not say and config.ini says otherwise.
void warn_of_edits(const std::filesystem::path& file, const config::Config& stored, const CommandLine& line) {
  for (const Changed& edit : check_config_file(file, stored)) {
    if (std::ranges::find(line.overrides, edit.key, &Override::key) != line.overrides.end()) continue;
    log::warn("{} has {} = {}, and the run goes on with {} (as its checkpoint says); give --{}={} to change it",
              file.string(), edit.key, edit.now, edit.then, edit.key, edit.now);
  }
}

int run(Runtime& runtime, run::PreparedRun& prepared) {
  comm::Communicator& communicator = runtime.communicator();
  device::Context& context = runtime.start_device(prepared.config.run);
  const data::Dataset dataset = runtime.read_data(prepared.config);
  const run::Outcome outcome = run::execute(
      prepared, {.communicator = &communicator,
                 .context = &context,
                 .dataset = &dataset,
                 .out = &std::cout,
                 .announce = [&](run::Loop& loop) { print_start_table(runtime, prepared, dataset, loop); }});
  if (runtime.is_root())
    std::cout << outcome.reason << "; results are in " << prepared.config.run.dir << std::endl;
  communicator.barrier();
  return static_cast<int>(outcome.code);
}

}  // namespace

int train(Runtime& runtime, Arguments arguments) {
  comm::Communicator& communicator = runtime.communicator();
  const config::Config wanted = runtime.read_config([&] { return parse_run_options(arguments).config; });
  run::PreparedRun prepared =
      run::prepare_run(communicator, wanted, [&](const std::filesystem::path& checkpoint) {
        const config::Config stored = stored_config(checkpoint);
        check_same_run(wanted, stored);
        check_config_file(std::filesystem::path(wanted.run.dir) / "config.ini", stored);
      });
  return run(runtime, prepared);
}

int resume(Runtime& runtime, Arguments arguments) {
  run::PreparedRun prepared;
  comm::Communicator& communicator = runtime.communicator();
  CommandLine line;
  comm::agree(communicator, [&] {
    line = parse_command_line(arguments);
    if (line.positionals.size() != 1) {
      throw ConfigError(
          fmt::format("resume takes one run folder, and {} were given; try `switchyard resume runs/latest`",
                      line.positionals.size()));
    }
  });
  comm::expect_same(communicator, ErrorKind::config, compared_argument("the run folder", line.positionals[0]));
  std::string config_text;
  comm::agree(communicator, [&] {
    if (!runtime.is_root()) return;
    const comm::WatchedWait wait(&runtime.watchdog(), comm::Operation::read_files, "run folder");
    prepared.folder = run::RunFolder::open(line.positionals[0]);
    prepared.checkpoint = run::newest_checkpoint(*prepared.folder);
    if (prepared.checkpoint.empty()) {
      log::warn("{} holds no checkpoint yet: the run starts again from step 0", line.positionals[0]);
      config_text = read_ini_file(prepared.folder->config_file().string());
    } else {
      config_text = checkpoint::Reader(std::filesystem::path(prepared.checkpoint)).text("config");
      warn_of_edits(prepared.folder->config_file(), parse_ini(config_text, prepared.checkpoint), line);
    }
  });
  run::expect_folder_seen(communicator, line.positionals[0]);
  comm::broadcast(communicator, prepared.checkpoint);
  comm::broadcast(communicator, config_text);
  prepared.config = runtime.read_config([&] {
    config::Config stored = parse_ini(config_text, line.positionals[0]);
    stored.run.dir = line.positionals[0];  // the folder may have moved
    return parse_overrides(std::move(stored), line, resume_rule()).config;
  });
  return run(runtime, prepared);
}

std::string train_help() {
  return "usage: switchyard train FILE.ini [--section.key=value ...]\n\n"
         "Trains as the configuration file says and makes the run folder run.dir: config.ini, metrics.jsonl, "
         "summary.json,\n"
         "checkpoints/. With --run.resume=auto a folder that holds a run goes on where it was: the one command "
         "for a\n"
         "requeued job. SIGUSR1 saves and leaves with exit code 75.\n\n" +
         run_options_help();
}

std::string resume_help() {
  std::string text =
      "usage: switchyard resume RUN [--section.key=value ...]\n\n"
      "Goes on from the newest valid checkpoint of the run folder RUN, on any number of ranks, to the same "
      "bits as a run\n"
      "that never stopped. Keys that may be overridden:\n";
  for (const std::string_view key : resume_rule().allowed_keys) text += fmt::format("  {}\n", key);
  return text;
}

}  // namespace switchyard::cli
