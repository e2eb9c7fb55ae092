// First weights that a new run reads from another run's checkpoint: section [init] of the configuration.
#pragma once

#include <string>
#include <vector>

#include "comm/resources.hpp"
#include "data/dataset.hpp"
#include "model/model.hpp"
#include "run/config.hpp"

namespace switchyard::run {

// What was read, for the table at the start.
struct InheritedWeights {
  std::string checkpoint;                 // the file; empty: nothing was read
  std::vector<std::string> drawn_arrays;  // of the gate: the file lacks them, so they keep their first weights
  bool has_copies = false;                // experts of feed-forward networks
};

// Reads the parameters and running statistics that init.parts names, by name and experts by global id; every
// rank what it owns, on any number of ranks. The optimiser starts anew. Run and file must have the same arrays
// there, but for those of a gate of both: what the file lacks of it keeps its first weights, and what the run
// lacks of it is not read. Where the file has a feed-forward network and the run a mixture, its experts are
// copies of that, varied by init.upcycle_noise (a function of run.seed), and its gate is drawn. Collective;
// model.values_changed() is the caller's. All ranks throw the same: DataError if there is no whole checkpoint,
// or its tokens are others than those of `dataset`, ConfigError for a pattern that matches nothing, another
// number of experts, other arrays or other shapes.
InheritedWeights inherit_weights(comm::Resources resources, const Config& config, const data::Dataset& dataset,
                                 model::Model& model);

}  // namespace switchyard::run
