#include "data/detail/file_split.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "data/permutation.hpp"

namespace switchyard::data::detail {
namespace {

// What `wanted` means for so many training files' rows.
index_t validation_samples(index_t wanted, index_t rows) {
  constexpr index_t most = 5000;
  return wanted == config::automatic_count ? std::min(most, rows / 10) : wanted;
}

}  // namespace

FileSplit::FileSplit(const Sizes& sizes, std::string_view train_files) : test_rows_(sizes.test_rows) {
  const index_t rows = sizes.train_rows;
  const index_t samples = validation_samples(sizes.validation_samples, rows);
  if (samples < 0 || samples >= rows)
    throw ConfigError(fmt::format(
        "data.validation_samples = {} leaves no training sample ({} holds {} samples); set it below {}, or to "
        "auto (a tenth of them, 5,000 at most)",
        samples, train_files, rows, rows));
  constexpr std::uint64_t split_seed = 20;
  const Permutation order(rows, split_seed, RandomUse::split);
  // A mark per row rather than a sort: both splits then keep the files' order.
  std::vector<char> is_validation(static_cast<std::size_t>(rows), 0);
  for (index_t i = 0; i < samples; ++i) is_validation[static_cast<std::size_t>(order.at(0, i))] = 1;
  train_rows_.reserve(static_cast<std::size_t>(rows - samples));
  validation_rows_.reserve(static_cast<std::size_t>(samples));
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
