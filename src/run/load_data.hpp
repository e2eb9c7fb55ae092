// The data that a run's configuration describes.
#pragma once

#include "data/dataset.hpp"
#include "run/config.hpp"

namespace switchyard::run {

// What labels are: model.loss says it.
data::Labels labels_of(const Config& config);
// As data::load_dataset(): blocking and local.
data::Dataset load_data(const Config& config, data::Purpose purpose = data::Purpose::training);

}  // namespace switchyard::run
