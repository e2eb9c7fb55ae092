#include "data/detail/file_split.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/span.hpp"
#include "data/permutation.hpp"

namespace switchyard::data::detail {
namespace {

// How many of so many rows a split without rows of its own takes.
index_t samples_of(std::string_view key, index_t wanted, std::optional<index_t> given, index_t automatic,
                   std::string_view train_files) {
  if (!given) return wanted == config::automatic_count ? automatic : wanted;
  if (wanted != config::automatic_count)
    throw ConfigError(
        fmt::format("{} = {} takes samples from {} (the data have {} samples for that); remove it", key, wanted,
                    train_files, *given));
  return 0;
}

// How many of `samples` validation rows are of each class that the files hold, where all are to be alike: the
// first samples % classes of them get one more.
Vector<index_t> shares_of_classes(index_t samples, Span<const std::int32_t> labels, Span<const Split> split_of,
                                  std::string_view train_files) {
  Vector<index_t> counts(1 + *std::ranges::max_element(labels));
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (split_of[row] == Split::train) ++counts[labels[row]];
  }
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

FileSplit::FileSplit(const Options& options, Span<const std::int32_t> train_labels, GivenRows given,
                     std::string_view train_files, index_t rows_of_one)
    : given_{std::nullopt, given.validation, given.test} {
  const auto rows = std::ssize(train_labels);
  const index_t validation = samples_of("data.validation_samples", options.validation_samples, given.validation,
                                        std::min<index_t>(5'000, rows / 10), train_files);
  const index_t test = samples_of("data.test_samples", options.test_samples, given.test,
                                  std::min<index_t>(10'000, rows / 5), train_files);
  if (validation + test >= rows)
    throw ConfigError(fmt::format(
        "data.validation_samples = {}{} leaves no training sample ({} holds {} samples); set fewer, or auto (a tenth of "
        "them{})",
        validation, given.test ? "" : fmt::format(" and data.test_samples = {}", test), train_files, rows,
        given.test ? "" : ", and a fifth for test"));
  if (!given.test && test == 0)
    throw DataError(fmt::format(
        "{} holds {} samples, too few to take some for test as data.test_samples = auto does; write test samples, or more of "
        "them",
        train_files, rows));
  constexpr std::uint64_t split_seed = 20;
  const Permutation order(rows, split_seed, RandomUse::split);
  // A mark per row rather than a sort: all splits then keep the files' order.
  Vector<Split> split_of(rows, Split::train);
  for (index_t i = 0; i < test; ++i) split_of[order.at(0, rows - 1 - i)] = Split::test;
  Vector<index_t> shares;
  if (options.validation_balanced) shares = shares_of_classes(validation, train_labels, split_of, train_files);
  for (index_t i = 0, taken = 0; taken < validation; ++i) {
    const index_t row = order.at(0, i);
    if (!shares.empty() && (split_of[row] != Split::train || shares[train_labels[row]]-- <= 0)) continue;
    split_of[row] = Split::validation;
    ++taken;
  }
  rows_[as_size(Split::train)].reserve((rows - validation - test) * rows_of_one);
  for (index_t row = 0; row < rows * rows_of_one; ++row)
    rows_[as_size(split_of[row / rows_of_one])].push_back(row);
}

index_t FileSplit::size(Split split) const {
  const std::optional<index_t>& given = given_[as_size(split)];
  return given ? *given : std::ssize(rows_[as_size(split)]);
}

index_t FileSplit::row(Split split, index_t sample) const {
  return given_[as_size(split)] ? sample : rows_[as_size(split)][sample];
}

}  // namespace switchyard::data::detail
