// What can be refused before the first run of a study starts.
#pragma once

#include <functional>

#include "study/jobs.hpp"
#include "study/spec.hpp"

namespace switchyard::study {

// That the ranks fit, the metrics exist, and every combination of every arm is a configuration that runs.
// `check_run` refuses a configuration for reasons of this machine. ConfigError. Local, and the same on every
// rank.
void check_study(const Spec& spec, int ranks, const std::function<void(const run::Config&)>& check_run);

// Whether the number at a path of summary.json is measured on the validation split, or at the checkpoint that
// is the best on it.
bool is_of_validation(std::string_view path);

// That a run which selects has select_by, as far as that takes a validation split: known once the samples are
// read, and before any step. ConfigError. Local.
void check_selectable(const Options& options, const Job& job, index_t validation_samples);

// That runs which the study's folder already holds are those that it asks for (check_same_run), as far as the
// configurations are known before anything is selected. Reads the folder.
void check_stored_runs(const Spec& spec, const ReadConfig& read_config);

}  // namespace switchyard::study
