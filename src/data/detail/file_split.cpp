#include "data/detail/file_split.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/span.hpp"
#include "data/permutation.hpp"

namespace switchyard::data::detail {
namespace {

// What `wanted` means for so many training files' rows.
index_t validation_samples(index_t wanted, index_t rows) {
  constexpr index_t most = 5000;
  return wanted == config::automatic_count ? std::min(most, rows / 10) : wanted;
}

// How many of `samples` validation rows are of each class that the files hold, where all are to be alike: the
// first samples % classes of them get one more.
Vector<index_t> shares_of_classes(index_t samples, Span<const std::int32_t> labels,
                                  std::string_view train_files) {
  Vector<index_t> counts(1 + *std::ranges::max_element(labels));
  for (const std::int32_t label : labels) ++counts[label];
  const index_t classes = std::ranges::count_if(counts, [](index_t count) { return count > 0; });
  Vector<index_t> shares(counts.size());
  index_t larger = samples % classes;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) continue;
    shares[c] = samples / classes + (larger-- > 0 ? 1 : 0);
    if (shares[c] < counts[c]) continue;
    throw ConfigError(fmt::format(
        "data.validation_balanced = yes takes {} of the {} validation samples from class {} ({} holds {} of "
        "it, and one must stay for training); lower data.validation_samples, or set "
        "data.validation_balanced = no",
        shares[c], samples, c, train_files, counts[c]));
  }
  return shares;
}

}  // namespace

FileSplit::FileSplit(const Options& options, Span<const std::int32_t> train_labels, index_t test_rows,
                     std::string_view train_files)
    : test_rows_(test_rows) {
  const auto rows = std::ssize(train_labels);
  const index_t samples = validation_samples(options.validation_samples, rows);
  if (samples < 0 || samples >= rows)
    throw ConfigError(fmt::format(
        "data.validation_samples = {} leaves no training sample ({} holds {} samples); set it below {}, or to "
        "auto (a tenth of them, 5,000 at most)",
        samples, train_files, rows, rows));
  Vector<index_t> shares;
  if (options.validation_balanced) shares = shares_of_classes(samples, train_labels, train_files);
  constexpr std::uint64_t split_seed = 20;
  const Permutation order(rows, split_seed, RandomUse::split);
  // A mark per row rather than a sort: both splits then keep the files' order.
  Vector<char> is_validation(rows, 0);
  for (index_t i = 0, taken = 0; taken < samples; ++i) {
    const index_t row = order.at(0, i);
    if (!shares.empty() && shares[train_labels[row]]-- <= 0) continue;
    is_validation[row] = 1;
    ++taken;
  }
  train_rows_.reserve(rows - samples);
  validation_rows_.reserve(samples);
  for (index_t row = 0; row < rows; ++row) (is_validation[row] ? validation_rows_ : train_rows_).push_back(row);
}

index_t FileSplit::size(Split split) const {
  return split == Split::test ? test_rows_ : std::ssize(rows_of(split));
}

index_t FileSplit::row(Split split, index_t sample) const {
  return split == Split::test ? sample : rows_of(split)[sample];
}

}  // namespace switchyard::data::detail
