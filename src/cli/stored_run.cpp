#include "cli/stored_run.hpp"

#include "cli/handshake.hpp"
#include "comm/agreement.hpp"
#include "run/run_checkpoint.hpp"

namespace switchyard::cli {
namespace {

constexpr OverrideRule evaluation_rule{.allows = run::may_change_in_evaluation,
                                       .why = "an evaluation uses the checkpoint's own configuration",
                                       .try_this = "leave it out"};

}  // namespace

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
  return runtime.read_config([&] {
    run::Config stored = run::without_training(run::parse_config(reader.text("config"), file));
    for (const Override& override : line.overrides) {
      if (override.key != "moe.capacity") continue;
      run::Config asked = stored;
      run::schema().set(asked, override.key, override.value, command_line);
      run::set_capacity(stored.moe, asked.moe.capacity);
    }
    return parse_overrides(std::move(stored), line, evaluation_rule);
  });
}

}  // namespace switchyard::cli
