// What a configuration makes of the samples, before anything has memory.
#pragma once

#include <vector>

#include "model/model.hpp"
#include "moe/layer.hpp"

namespace switchyard::model {

struct Outline {
  std::vector<moe::LayerOptions> layers = {};  // the mixture layers, from the first that a batch comes to
  index_t row_features = 0;                    // of the rows that they are given
  index_t rows_per_sample = 1;                 // so many of a sample
  index_t trunk_parameters = 0;                // outside of mixture layers
  index_t trunk_multiply_adds = 0;             // of one row, forward

  index_t parameter_count() const;
};
// Throws ConfigError for what does not fit the data.
Outline outline(const ModelOptions& options, const Task& task);

}  // namespace switchyard::model
