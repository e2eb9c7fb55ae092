// The table at the start of a run: what was decided.
#pragma once

#include <string>

#include "cli/runtime.hpp"
#include "data/dataset.hpp"
#include "train/loop.hpp"

namespace switchyard::cli {

// On the root's standard output.
void print_start_table(Runtime& runtime, const config::Config& config, const data::Dataset& dataset,
                       train::Loop& loop, const std::string& checkpoint);

}  // namespace switchyard::cli
