#include "run/load_data.hpp"

namespace switchyard::run {

data::Purpose data_purpose(const Config& config, data::Purpose::Use use) {
  const bool of_numbers = model::kind_of(config.model.loss).of_numbers;
  return {use, of_numbers ? data::Labels::numbers : data::Labels::classes};
}

data::Dataset load_data(const Config& config, data::Purpose::Use use) {
  return data::load_dataset(data_options(config), config.run.seed, data_purpose(config, use));
}

}  // namespace switchyard::run
