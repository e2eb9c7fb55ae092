// A study file: arms, each a run configuration with further keys, some of them with several values.
//
// study: from a study file to runs, their selection, and the tables of what came out. Reads no INI text:
// cli does, and hands settings over.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "config/setting.hpp"
#include "run/config.hpp"
#include "study/options.hpp"
#include "study/published.hpp"

namespace switchyard::study {

using config::Setting;

// The configuration in a file; ConfigError where it cannot be read.
using ReadConfig = std::function<run::Config(const std::string& path)>;

struct Arm {
  std::string name;   // also a folder
  std::string title;  // for people
  std::string config_file;
  run::Config base;                // what config_file says
  std::vector<std::string> after;  // arms whose runs end before this one's start
  std::vector<Setting> keys;       // of runs; the section is empty, the key "optim.beta1"
  bool read_later = false;         // by an arm of the file that study.arms leaves out
};

struct Spec {
  std::string file;  // of the study, for messages
  Options options;
  std::vector<Setting> all;  // keys of every arm's runs, as in Arm::keys
  Vector<Arm> arms;          // in the order of the file
  std::vector<report::PublishedValue> published;
};

// From the settings of `file`, in order, and those of the command line ("study.seeds", section empty). Reads
// the arms' configuration files and the published values. ConfigError for anything that is not as
// docs/studies.md says, apart from the runs' own keys (run_config()) and the ranks.
Spec read_spec(const std::string& file, const std::vector<Setting>& settings,
               const std::vector<Setting>& overrides, const ReadConfig& read_config);

// The arms' levels: 0 for an arm that comes after none, else one more than the highest of those it comes after.
// ConfigError if arms wait for each other.
Vector<int> levels(const Spec& spec);

// The highest level at which checkpoints of each arm may still be read: its own, or of an arm that names it in
// `after`; beyond all levels for one that another part of the study may read.
std::vector<int> last_levels(const Spec& spec);

// The index of the arm called `name`, or -1.
int find_arm(const Spec& spec, std::string_view name);

}  // namespace switchyard::study
