// Which rows of a data set's files make up its three splits.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"

namespace switchyard::data::detail {

// The validation split is some of the training files' rows, the first ones of a permutation that depends on
// nothing but their number; balanced, the first ones of each class. So a smaller one is part of a larger one.
// All splits keep the files' order.
class FileSplit {
 public:
  // Of training files' rows with these labels, one at least, as data.validation_samples and validation_balanced
  // say. `train_files` names them in the ConfigError for a validation split that leaves no training sample, or,
  // balanced, none of some class.
  FileSplit(const Options& options, Span<const std::int32_t> train_labels, index_t test_rows,
            std::string_view train_files);

  index_t size(Split split) const;
  // The row of the test files for Split::test, of the training files otherwise. 0 <= sample < size(split).
  index_t row(Split split, index_t sample) const;

 private:
  // Of the training files.
  const Vector<index_t>& rows_of(Split split) const {
    return split == Split::train ? train_rows_ : validation_rows_;
  }

  index_t test_rows_;
  Vector<index_t> train_rows_;  // ascending
  Vector<index_t> validation_rows_;
};

}  // namespace switchyard::data::detail
