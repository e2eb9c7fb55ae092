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
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "files/regular_file.hpp"
#include "run/config.hpp"
#include "run/run.hpp"
#include "run/shared_inputs.hpp"

namespace switchyard::cli {
namespace {

// What the newest valid checkpoint says its configuration is.
run::Config stored_config(const std::filesystem::path& checkpoint) {
  const checkpoint::Reader reader{checkpoint};
  return run::parse_config(reader.text("config"), checkpoint.string());
}

// Keys whose values differ, but for the run folder, which may have moved, and how the command was told to take
// it.
std::vector<run::Difference> changes(const run::Config& then, const run::Config& now) {
  std::vector<run::Difference> changed = run::differences(then, now);
  std::erase_if(changed,
                [](const run::Difference& values) { return values.key->field->role == config::Role::run; });
  return changed;
}

// `wanted` may differ from the run's own configuration in the keys that a resume may override.
void check_same_run(const run::Config& wanted, const run::Config& stored) {
  for (const run::Difference& changed : changes(stored, wanted)) {
    if (run::may_change_on_resume(*changed.key->field)) continue;
    throw ConfigError(fmt::format(
        "the run in {} has {} = {}, and this command says {} ({}); use another run.dir, or leave the key "
        "as it was",
        wanted.run.dir, changed.key->name, changed.then, changed.now, resume_rule.why));
  }
}

// A run that goes on reads its checkpoint: whoever edited config.ini in its folder must hear that. Returns the
// edits of keys that a resume may override.
std::vector<run::Difference> check_config_file(const std::filesystem::path& file, const run::Config& stored) {
  if (!files::is_there(file)) return {};
  std::vector<run::Difference> edits = changes(stored, read_configuration(file.string()));
  for (const run::Difference& edit : edits) {
    if (run::may_change_on_resume(*edit.key->field)) continue;
    throw ConfigError(fmt::format(
        "{0} was changed: it has {1} = {2}, and the run has {3} (it goes on as its checkpoint says; {4}); "
        "put the line back, or start another run with this file and the run's weights: `switchyard train "
        "{0} --run.dir=PATH --init.from={5}`",
        file.string(), edit.key->name, edit.now, edit.then, resume_rule.why, file.parent_path().string()));
  }
  return edits;
}

// What a resume goes on with that `line` does not say and config.ini says otherwise.
void warn_of_edits(const std::filesystem::path& file, const run::Config& stored, const CommandLine& line) {
  for (const run::Difference& edit : check_config_file(file, stored)) {
    if (std::ranges::find(line.overrides, edit.key->name, &Override::key) != line.overrides.end()) continue;
    log::warn("{} has {} = {}, and the run goes on with {} (as its checkpoint says); give --{}={} to change it",
              file.string(), edit.key->name, edit.now, edit.then, edit.key->name, edit.now);
  }
}

int run(Runtime& runtime, run::PreparedRun& prepared) {
  runtime.start_device(prepared.config.run, prepared.config.comm);
  const comm::Resources resources = runtime.resources(prepared.config.moe.replicas);
  const data::Dataset dataset = runtime.read_data(prepared.config);
  const run::Outcome outcome = run::execute(
      prepared, {.resources = resources,
                 .dataset = &dataset,
                 .most_held_bytes = runtime.most_held_bytes(),
                 .out = &std::cout,
                 .announce = [&](run::Loop& loop) { print_start_table(runtime, prepared, dataset, loop); }});
  if (runtime.is_root())
    std::cout << outcome.reason << "; results are in " << prepared.config.run.dir
              << "\nsee it: switchyard report " << prepared.config.run.dir << std::endl;
  runtime.communicator().barrier();
  return static_cast<int>(outcome.code);
}

}  // namespace

int train(Runtime& runtime, Arguments arguments) {
  comm::Communicator& communicator = runtime.communicator();
  const run::Config wanted = runtime.read_config([&] { return parse_run_options(arguments); });
  run::PreparedRun prepared =
      run::prepare_run(communicator, wanted, [&](const std::filesystem::path& checkpoint) {
        const run::Config stored = stored_config(checkpoint);
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
    only_positional(line, "resume takes one run folder", "switchyard resume runs/latest");
  });
  comm::expect_same(communicator, ErrorKind::config,
                    std::vector{compared_argument("the run folder", line.positionals[0])});
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
      warn_of_edits(prepared.folder->config_file(), run::parse_config(config_text, prepared.checkpoint), line);
    }
  });
  run::expect_folder_seen(communicator, line.positionals[0]);
  communicator.broadcast(prepared.checkpoint);
  communicator.broadcast(config_text);
  prepared.config = runtime.read_config([&] {
    run::Config stored = run::parse_config(config_text, line.positionals[0]);
    stored.run.dir = line.positionals[0];  // the folder may have moved
    return parse_overrides(std::move(stored), line, resume_rule);
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
  for (const std::string_view key : allowed_keys(resume_rule)) text += fmt::format("  {}\n", key);
  return text;
}

}  // namespace switchyard::cli
