// The model on a whole split, without learning.
#pragma once

#include <optional>

#include "train/batch_loader.hpp"

namespace switchyard::train {

// Exact over the split, whatever the batch size and the ranks; nothing if a rank was asked to stop meanwhile
// (base/stop_signals.hpp). Collective.
std::optional<moe::Statistics> evaluate(data::Split split, BatchLoader& loader, model::Model& model,
                                        comm::Resources resources);

std::string_view name(data::Split split);

}  // namespace switchyard::train
