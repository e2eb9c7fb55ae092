#include "data/detail/table_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "device/allowed_memory.hpp"

namespace switchyard::data::detail {
namespace {

constexpr index_t most_classes = 1'000'000;

// "own.h5: train/samples[17, 3]", of a number by its place among all.
std::string place_of(const NumberArray& array, index_t number) {
  std::string indices;
  for (std::size_t d = array.shape().size(); d-- > 0;) {
    indices = fmt::format("{}{}{}", number % array.shape()[d], indices.empty() ? "" : ", ", indices);
    number /= array.shape()[d];
  }
  return fmt::format("{}[{}]", array.name(), indices);
}

// "own.h5: train/labels[17]", or of a column "train.csv: price of row 18".
std::string place_of(std::string_view name, bool is_column, index_t row) {
  return is_column ? fmt::format("{} of row {}", name, row + 1) : fmt::format("{}[{}]", name, row);
}
// Of a number by its place among all.
std::string place_of(const RealArray& array, index_t number) {
  const index_t row = number / array.columns();
  if (array.shape.size() == 1 || array.is_column) return place_of(array.name, array.is_column, row);
  return fmt::format("{}[{}, {}]", array.name, row, number % array.columns());
}

}  // namespace

tensor::SampleShape shape_of(const NumberArray& samples) {
  const tensor::Shape& s = samples.shape();
  if (s.size() > 4 || std::ranges::any_of(s, [](index_t size) { return size < 1; }))
    throw DataError(fmt::format(
        "{} is {} (samples x features, samples x height x width or samples x channels x height x width are read, "
        "with one sample at least); give it another shape",
        samples.name(), tensor::to_string(s)));
  if (samples.rows() > std::numeric_limits<std::int32_t>::max())
    throw DataError(fmt::format("{} has {} samples (2,147,483,647 at most are read); divide them",
                                samples.name(), samples.rows()));
  tensor::SampleShape shape;
  if (s.size() > 1) shape.width = s.back();
  if (s.size() > 2) shape.height = s[s.size() - 2];
  if (s.size() > 3) shape.channels = s[1];
  return shape;
}

void expect_memory(index_t images, const tensor::SampleShape& shape, std::string_view because) {
  const double needed = static_cast<double>(images) * static_cast<double>(shape.features());
  const auto allowed = static_cast<double>(device::allowed_memory_bytes());
  if (allowed == 0 || needed <= allowed) return;
  constexpr double gibibyte = 1 << 30;
  throw OutOfMemory(fmt::format(
      "{} images of {} x {} x {} are {:.1f} GiB ({}; this host allows {:.1f} GiB, and every rank holds all images); make "
      "them smaller, or take fewer",
      images, shape.channels, shape.height, shape.width, needed / gibibyte, because, allowed / gibibyte));
}

void expect_one_each(const LabelArray& labels, const NumberArray& samples) {
  if (std::ssize(labels.values) != samples.rows())
    throw DataError(fmt::format("{} has {} numbers but {} has {} samples (each needs one); write both again",
                                labels.name, labels.values.size(), samples.name(), samples.rows()));
}

Vector<std::int32_t> checked(const LabelArray& labels, const NumberArray& samples, index_t most) {
  expect_one_each(labels, samples);
  Vector<std::int32_t> all(samples.rows());
  for (std::size_t i = 0; i < labels.values.size(); ++i) {
    const std::int64_t value = labels.values[i];
    if (value < 0 || value >= most)
      throw DataError(
          fmt::format("{} is {} ({}; labels and clusters begin with 0 and end below {}); number them anew",
                      place_of(labels.name, labels.is_column, static_cast<index_t>(i)), value,
                      labels.is_column ? "the first row below the header is row 1" : "the first row is [0]",
                      most == most_classes ? "1,000,000" : fmt::format("{}, with as few samples", most)));
    all[i] = static_cast<std::int32_t>(value);
  }
  return all;
}

void expect_fits(const RealArray& array, const NumberArray& samples) {
  if (array.shape[0] != samples.rows())
    throw DataError(fmt::format("{} has {} rows but {} has {} samples (each needs one); write both again",
                                array.name, array.shape[0], samples.name(), samples.rows()));
  if (array.columns() == 0)
    throw DataError(fmt::format("{} is {} (a number for each sample is read, or several); write one at least",
                                array.name, tensor::to_string(array.shape)));
  const auto bad = std::ranges::find_if_not(array.values, [](double value) {
    return std::isfinite(value) && std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max());
  });
  if (bad != array.values.end())
    throw DataError(fmt::format(
        "{} is {} (finite numbers are read, as large as float32 has them); leave the sample out, or "
        "write another",
        place_of(array, bad - array.values.begin()), *bad));
}

void expect_weights(const RealArray& weights, const NumberArray& samples) {
  if (weights.shape.size() != 1)
    throw DataError(fmt::format("{} is {} (one number for each sample is read); write it with one dimension",
                                weights.name, tensor::to_string(weights.shape)));
  expect_fits(weights, samples);
  const auto bad = std::ranges::find_if(weights.values, [](double value) { return value < 0; });
  if (bad != weights.values.end())
    throw DataError(fmt::format("{} is {} (a weight is 0 at least); write it anew",
                                place_of(weights, bad - weights.values.begin()), *bad));
}

index_t most_classes_of(const Tables& tables, Purpose purpose) {
  if (purpose == Purpose::prediction) return most_classes;
  constexpr index_t not_many = 10'000;
  index_t samples = 0;
  for (const std::optional<Table>* table : {&tables.train, &tables.validation, &tables.test})
    samples += *table ? (*table)->samples.rows() : 0;
  return std::clamp(samples, not_many, most_classes);
}

void expect_finite(const NumberArray& array, index_t first, Span<const float> values) {
  const auto found = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  if (found == values.end()) return;
  throw DataError(fmt::format(
      "{} is {} in float32 (a model takes finite numbers; the first row is [0]); leave the sample out, or "
      "fill the number in",
      place_of(array, first + (found - values.begin())), *found));
}

}  // namespace switchyard::data::detail
