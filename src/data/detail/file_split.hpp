// Which rows of a data set's files make up its three splits.
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "data/dataset.hpp"

namespace switchyard::data::detail {

// The validation split is some of the training files' rows, chosen by a permutation that depends on nothing but
// their number, so that a smaller one is part of a larger one. All splits keep the files' order.
class FileSplit {
 public:
  struct Sizes {
    index_t train_rows = 0;  // at least 1
    index_t test_rows = 0;
    index_t validation_samples = 0;  // data.validation_samples
  };

  // `train_files` names them in the ConfigError for a validation split that leaves no training sample.
  FileSplit(const Sizes& sizes, std::string_view train_files);

  index_t size(Split split) const;
  // The row of the test files for Split::test, of the training files otherwise. 0 <= sample < size(split).
  index_t row(Split split, index_t sample) const;

 private:
  index_t test_rows_;
  std::vector<index_t> train_rows_;  // ascending
  std::vector<index_t> validation_rows_;
};

}  // namespace switchyard::data::detail
