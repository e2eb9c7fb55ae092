// From a configuration to what the mixture's layer is made of.
#pragma once

#include "model/options.hpp"
#include "moe/layer.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {

// What the data ask of a model.
struct Task {
  tensor::SampleShape sample;
  index_t classes = 0;
  index_t groups = 0;  // kinds of samples besides classes, for analysis
};

// What a configuration makes of samples of that shape, before anything is allocated. Throws ConfigError.
moe::LayerOptions layer_options(const MixtureOptions& mixture, const Task& task);

}  // namespace switchyard::model
