#include "data/detail/file_split.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "data/permutation.hpp"

namespace switchyard::data::detail {

FileSplit::FileSplit(const Sizes& sizes, std::string_view train_files) : test_rows_(sizes.test_rows) {
  const index_t rows = sizes.train_rows;
  if (sizes.validation_samples < 0 || sizes.validation_samples >= rows)
    throw ConfigError(fmt::format(
        "data.validation_samples = {} leaves no training sample ({} holds {} samples); set it below {}",
        sizes.validation_samples, train_files, rows, rows));
  constexpr std::uint64_t split_seed = 20;
  const Permutation order(rows, split_seed, RandomUse::split);
  // A mark per row rather than a sort: both splits then keep the files' order.
  std::vector<char> is_validation(static_cast<std::size_t>(rows), 0);
  for (index_t i = 0; i < sizes.validation_samples; ++i)
    is_validation[static_cast<std::size_t>(order.at(0, i))] = 1;
  train_rows_.reserve(static_cast<std::size_t>(rows - sizes.validation_samples));
  validation_rows_.reserve(static_cast<std::size_t>(sizes.validation_samples));
  for (index_t row = 0; row < rows; ++row)
    (is_validation[static_cast<std::size_t>(row)] ? validation_rows_ : train_rows_).push_back(row);
}

index_t FileSplit::size(Split split) const {
  switch (split) {
    case Split::train:
      return static_cast<index_t>(train_rows_.size());
    case Split::validation:
      return static_cast<index_t>(validation_rows_.size());
    case Split::test:
      return test_rows_;
  }
  return 0;
}

index_t FileSplit::row(Split split, index_t sample) const {
  switch (split) {
    case Split::train:
      return train_rows_[static_cast<std::size_t>(sample)];
    case Split::validation:
      return validation_rows_[static_cast<std::size_t>(sample)];
    case Split::test:
      return sample;
  }
  return sample;
}

}  // namespace switchyard::data::detail
