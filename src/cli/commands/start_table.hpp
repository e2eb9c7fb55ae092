// The table at the start of a run: what was decided.
#pragma once

#include "cli/runtime.hpp"
#include "data/dataset.hpp"
#include "train/run.hpp"

namespace switchyard::cli {

// On the root's standard output.
void print_start_table(Runtime& runtime, const train::PreparedRun& prepared, const data::Dataset& dataset,
                       train::Loop& loop);

}  // namespace switchyard::cli
