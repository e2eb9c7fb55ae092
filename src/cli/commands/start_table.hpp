// The table at the start of a run: what was decided.
#pragma once

#include <string>
#include <string_view>

#include "cli/runtime.hpp"
#include "data/dataset.hpp"
#include "moe/router.hpp"
#include "run/run.hpp"

namespace switchyard::cli {

// Which experts see a sample: "dense", "top-2", "one by its label".
std::string choice_text(const moe::RouterOptions& router);

// What follows on the model where its matrices are quantised: "; weights -1, 0 and 1, products in int8".
std::string_view products_text(const model::TransformerOptions& of);

// "batch 64 in 8 shards, in 2 parts".
std::string batch_text(const train::Options& options);

// On the root's standard output.
void print_start_table(Runtime& runtime, const run::PreparedRun& prepared, const data::Dataset& dataset,
                       run::Loop& loop);

}  // namespace switchyard::cli
