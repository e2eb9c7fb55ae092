// A run as a command finds it that asks a trained model.
#pragma once

#include <string>
#include <string_view>

#include "checkpoint/checkpoint.hpp"
#include "cli/options.hpp"
#include "cli/runtime.hpp"
#include "data/dataset.hpp"
#include "run/config.hpp"

namespace switchyard::cli {

// What a command is about: "eval takes one checkpoint or run folder", "switchyard eval runs/latest".
struct Asked {
  std::string_view takes;
  std::string_view try_this;
};

// --split, which is test if it is not given. ConfigError for what is none.
data::Split split_of(const CommandLine& line);

// The file that the one positional of a line and its --checkpoint say, the same on all ranks. `read` gives the
// line, on each rank. Collective; ranks agree on failures.
std::string checkpoint_of(Runtime& runtime, const std::function<CommandLine()>& read, const Asked& asked);

// What the checkpoint's run computed, without training, and with what a line may change of it. Collective;
// ranks agree on failures.
run::Config stored_config(Runtime& runtime, const checkpoint::Reader& reader, const std::string& file,
                          const CommandLine& line);

// A run's configuration, without training, and with what a line may change of it for a model that is trained.
// Local.
run::Config asked_config(const run::Config& stored, const CommandLine& line);

// Says on standard error if the data are not the run's own. Local.
void warn_of_other_data(const checkpoint::Reader& reader, const data::Dataset& dataset);

}  // namespace switchyard::cli
