// The data that a run's configuration describes.
#pragma once

#include "data/dataset.hpp"
#include "run/config.hpp"

namespace switchyard::run {

// What they are read for: model.loss says what labels are.
data::Purpose data_purpose(const Config& config, data::Purpose::Use use = data::Purpose::Use::training);
// As data::load_dataset(): blocking and local.
data::Dataset load_data(const Config& config, data::Purpose::Use use = data::Purpose::Use::training);

}  // namespace switchyard::run
