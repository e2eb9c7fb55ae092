// What a model says of each sample of a split.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"
#include "train/batch_loader.hpp"

namespace switchyard::train {

// Of all N samples of a split, in its order, on the root; the other ranks have none.
struct SplitPredictions {
  index_t slots = 0;               // K
  index_t outputs = 0;             // of an expert: the classes or numbers, or one
  Vector<std::int32_t> predicted;  // [N]
  Vector<float> probabilities;     // [N, classes]
  Vector<float> values;            // [N, T], in place of both where labels are real numbers, scaled as they are
  Vector<std::int32_t> experts;    // [N, K]
  Vector<float> gate_weights;      // [N, K]
  Vector<float> expert_outputs;    // [N, K, outputs], if they were asked for; 0 where the expert had no place
};

// The same for any batch size and any ranks. Throws ConfigError for a model of tokens. Collective.
SplitPredictions predict(data::Split split, BatchLoader& loader, model::Model& model, comm::Resources resources,
                         bool with_expert_outputs);

}  // namespace switchyard::train
