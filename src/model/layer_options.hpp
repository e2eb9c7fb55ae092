// From a configuration to what the mixture's layer is made of.
#pragma once

#include "model/model.hpp"
#include "moe/layer.hpp"

namespace switchyard::model {

// What a configuration makes of samples of that shape, before anything is allocated. Throws ConfigError.
moe::LayerOptions layer_options(const MixtureOptions& mixture, const Task& task);

}  // namespace switchyard::model
