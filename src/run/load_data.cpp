#include "run/load_data.hpp"

namespace switchyard::run {

data::Labels labels_of(const Config& config) {
  return model::kind_of(config.model.loss).of_numbers ? data::Labels::numbers : data::Labels::classes;
}

data::Dataset load_data(const Config& config, data::Purpose purpose) {
  return data::load_dataset(data_options(config), config.run.seed,
                            {.purpose = purpose, .labels = labels_of(config)});
}

}  // namespace switchyard::run
