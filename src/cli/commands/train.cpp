#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "base/build_info.hpp"
#include "base/log.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/start_table.hpp"
#include "cli/ini.hpp"
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "config/parse.hpp"
#include "train/loop.hpp"

namespace switchyard::cli {
namespace {

// A run that is about to start or to go on, as the ranks agreed on it.
struct Prepared {
  config::Config config;
  std::optional<train::RunFolder> folder;  // root only
  std::string checkpoint;                  // to go on from; empty: from the start
};

// What the newest valid checkpoint says its configuration is.
config::Config stored_config(const std::string& checkpoint) {
  const checkpoint::Reader reader{std::filesystem::path(checkpoint)};
  return parse_ini(reader.text("config"), checkpoint);
}

// `wanted` may differ from the run's own configuration in the keys that a resume may override.
void check_same_run(const config::Config& wanted, const config::Config& stored) {
  const OverrideRule& rule = resume_rule();
  for (const std::string& key : config::known_keys()) {
    const config::Field& field = config::find_field(key, "the run");
    const std::string now = config::value_text(wanted, field);
    const std::string then = config::value_text(stored, field);
    const bool allowed = key == "run.dir" || key == "run.resume" ||
                         std::ranges::find(rule.allowed_keys, key) != rule.allowed_keys.end();
    if (now != then && !allowed) {
      throw ConfigError(fmt::format(
          "the run in {} has {} = {}, and this command says {} ({}); use another run.dir, or leave the key "
          "as it was",
          wanted.run.dir, key, then, now, rule.why));
    }
  }
}

int run(Runtime& runtime, Prepared& prepared) {
  comm::Communicator& communicator = runtime.communicator();
  device::Context& context = runtime.start_device(prepared.config.run);
  std::optional<data::Dataset> dataset;
  comm::agree(communicator,
              [&] { dataset = data::load_dataset(prepared.config.data, prepared.config.run.seed); });

  const std::filesystem::path folder = prepared.config.run.dir;
  std::optional<train::Loop> loop;
  const train::RunFolder* const run_folder = prepared.folder ? &*prepared.folder : nullptr;
  comm::agree(communicator, [&] {
    loop.emplace(prepared.config, *dataset, communicator, context, run_folder, folder / "checkpoints");
  });
  if (!prepared.checkpoint.empty()) {
    const checkpoint::Reader reader(communicator, prepared.checkpoint);
    comm::agree(communicator, [&] { loop->restore(reader); });
  }
  comm::agree(communicator, [&] {
    if (prepared.folder) prepared.folder->write_config(config::to_ini(prepared.config));
  });
  print_start_table(runtime, prepared.config, *dataset, *loop, prepared.checkpoint);

  const train::Outcome outcome = loop->run();
  if (runtime.is_root()) std::cout << outcome.reason << "; results are in " << folder.string() << std::endl;
  communicator.barrier();
  return static_cast<int>(outcome.code);
}

// Root only.
std::string newest_or_none(const train::RunFolder& folder) {
  return folder.has_checkpoint() ? checkpoint::newest_valid(folder.checkpoint_folder()).string()
                                 : std::string();
}

}  // namespace

int train(Runtime& runtime, Arguments arguments) {
  Prepared prepared;
  comm::Communicator& communicator = runtime.communicator();
  comm::agree(communicator, [&] { prepared.config = parse_run_options(arguments).config; });
  comm::agree(communicator, [&] {
    if (!runtime.is_root()) return;
    prepared.folder = train::RunFolder::create(prepared.config.run.dir, prepared.config.run.resume);
    prepared.checkpoint = newest_or_none(*prepared.folder);
    if (!prepared.checkpoint.empty()) check_same_run(prepared.config, stored_config(prepared.checkpoint));
  });
  runtime.broadcast(prepared.checkpoint);
  return run(runtime, prepared);
}

int resume(Runtime& runtime, Arguments arguments) {
  Prepared prepared;
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
  std::string config_text;
  comm::agree(communicator, [&] {
    if (!runtime.is_root()) return;
    prepared.folder = train::RunFolder::open(line.positionals[0]);
    prepared.checkpoint = newest_or_none(*prepared.folder);
    if (prepared.checkpoint.empty()) {
      log::warn("{} holds no checkpoint yet: the run starts again from step 0", line.positionals[0]);
      config_text = read_ini_file(prepared.folder->config_file().string());
    } else {
      config_text = checkpoint::Reader(std::filesystem::path(prepared.checkpoint)).text("config");
    }
  });
  runtime.broadcast(prepared.checkpoint);
  runtime.broadcast(config_text);
  comm::agree(communicator, [&] {
    config::Config stored = parse_ini(config_text, line.positionals[0]);
    stored.run.dir = line.positionals[0];  // the folder may have moved
    prepared.config = parse_overrides(std::move(stored), line, resume_rule()).config;
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
