// What can be refused before the first run of a study starts.
#pragma once

#include <functional>

#include "study/spec.hpp"

namespace switchyard::study {

// That the ranks fit, the metrics exist, and every combination of every arm is a configuration that runs.
// `check_run` refuses a configuration for reasons of this machine. ConfigError. Local, and the same on every
// rank.
void check_study(const Spec& spec, int ranks, const std::function<void(const run::Config&)>& check_run);

// That runs which the study's folder already holds are those that it asks for (check_same_run), as far as the
// configurations are known before anything is selected. Reads the folder.
void check_stored_runs(const Spec& spec, const ReadConfig& read_config);

}  // namespace switchyard::study
