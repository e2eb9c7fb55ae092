// What a study file's [study] says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.hpp"

namespace switchyard::study {

struct Options {
  std::string dir;  // the study's folder
  std::int64_t seeds = 10;
  std::int64_t first_seed = 1;
  std::int64_t ranks_per_run = 1;
  std::int64_t selection_seeds = 3;
  std::int64_t selection_epochs = 0;
  std::string select_by = "validation.error";
  std::vector<std::string> arms;  // empty: all
  std::vector<std::string> metrics = {"test.error"};
  std::string baseline;
  bool keep_checkpoints = false;
  std::string published;
  bool quick = false;
};

const config::Schema<Options>& schema();

}  // namespace switchyard::study
