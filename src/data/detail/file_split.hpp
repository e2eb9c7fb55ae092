// Which rows of a data set's files make up its three splits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"

namespace switchyard::data::detail {

// Rows of splits that have files of their own.
struct GivenRows {
  std::optional<index_t> validation = {}, test = {};
};

// A split without rows of its own is some of the training rows: for validation the first ones of a permutation
// that depends on nothing but their number (balanced, the first ones of each class), for test the last ones. So
// a smaller split is part of a larger one. All splits keep the rows' order.
class FileSplit {
 public:
  // Each split has so many rows of its own (train, validation, test).
  explicit FileSplit(std::array<index_t, 3> rows) : given_{rows[0], rows[1], rows[2]} {}
  // Of training rows with these labels, one at least, as data.validation_samples, validation_balanced and
  // test_samples say. `train_files` names them in the ConfigError for splits that leave no training sample, or,
  // balanced, none of some class, and for numbers of samples where the split has rows of its own.
  // `rows_of_one`: where so many rows, side by side, are made of one thing, which then goes into one split.
  // Such things are what has labels and what is counted, but for given rows and what the functions below
  // return.
  FileSplit(const Options& options, Span<const std::int32_t> train_labels, GivenRows given,
            std::string_view train_files, index_t rows_of_one = 1);

  index_t size(Split split) const;
  // The row of the split's own, or of the training rows. 0 <= sample < size(split).
  index_t row(Split split, index_t sample) const;

 private:
  std::array<std::optional<index_t>, 3> given_;  // by Split: how many rows it has of its own
  std::array<Vector<index_t>, 3> rows_;          // else: its training rows, ascending
};

}  // namespace switchyard::data::detail
