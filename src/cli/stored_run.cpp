#include "cli/stored_run.hpp"

#include <fmt/format.h>

#include <optional>

#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/handshake.hpp"
#include "comm/agreement.hpp"
#include "run/run_checkpoint.hpp"
#include "train/evaluation.hpp"

namespace switchyard::cli {
namespace {

// Data of another kind lie elsewhere, are divided by themselves and have keys of their own: of the run's only
// what numbers mean stays.
data::Options of_another_kind(const data::Options& stored) {
  data::Options other;
  other.mean = stored.mean;
  other.standard_deviation = stored.standard_deviation;
  other.normalise = stored.normalise;
  other.derive = stored.derive;
  other.prepare = stored.prepare;
  other.window = stored.window;
  return other;
}

constexpr OverrideRule evaluation_rule{.allows = run::may_change_in_evaluation,
                                       .why = "an evaluation uses the checkpoint's own configuration",
                                       .try_this = "leave it out"};

}  // namespace

data::Split split_of(const CommandLine& line) {
  const std::string given = line.option("split").value_or("test");
  for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
    if (given == train::name(split)) return split;
  }
  throw ConfigError(
      fmt::format("--split={} is no split (there are train, validation and test); try --split=test", given));
}

std::string checkpoint_of(Runtime& runtime, const std::function<CommandLine()>& read, const Asked& asked) {
  comm::Communicator& communicator = runtime.communicator();
  std::string path, name, file;
  comm::agree(communicator, [&] {
    const CommandLine line = read();
    const std::optional<std::string> named = line.option("checkpoint");
    path = only_positional(line, asked.takes, asked.try_this);
    name = named.value_or("");
    const comm::WatchedWait wait(&runtime.watchdog(), comm::Operation::read_files, "run folder");
    if (runtime.is_root()) file = named ? run::named_checkpoint(path, *named) : run::checkpoint_file(path);
  });
  comm::expect_same(
      communicator, ErrorKind::config,
      std::vector{compared_argument("the checkpoint", path), compared_argument("--checkpoint", name)});
  communicator.broadcast(file);
  return file;
}

run::Config stored_config(Runtime& runtime, const checkpoint::Reader& reader, const std::string& file,
                          const CommandLine& line) {
  return runtime.read_config(
      [&] { return asked_config(run::parse_config(reader.text("config"), file), line); });
}

run::Config asked_config(const run::Config& stored, const CommandLine& line) {
  run::Config config = run::without_training(stored);
  for (const Override& override : line.overrides) {
    if (override.key == "data.source") config.data = of_another_kind(config.data);
    if (override.key != "moe.capacity") continue;
    run::Config asked = config;
    run::schema().set(asked, override.key, override.value, command_line);
    run::set_capacity(config.moe, asked.moe.capacity);
  }
  return parse_overrides(std::move(config), line, evaluation_rule);
}

void warn_of_other_data(const checkpoint::Reader& reader, const data::Dataset& dataset) {
  const std::optional<data::Identity> then = run::stored_identity(reader);
  if (!then || *then == dataset.identity()) return;
  log::warn("the data are not those of the checkpoint's run: the run's are {}, these {}", describe(*then),
            describe(dataset.identity()));
}

}  // namespace switchyard::cli
