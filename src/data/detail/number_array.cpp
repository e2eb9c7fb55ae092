#include "data/detail/number_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/contract.hpp"
#include "base/error.hpp"

namespace switchyard::data::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie in the file");

index_t row_size_of(const tensor::Shape& shape) {
  SY_EXPECTS(!shape.empty(), "numbers without a dimension");
  index_t size = 1;
  for (std::size_t d = 1; d < shape.size(); ++d) size *= shape[d];
  return size;
}

template <class T>
void convert(const std::byte* from, index_t count, float* out) {
  for (index_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * static_cast<index_t>(sizeof value), sizeof value);
    out[i] = static_cast<float>(value);
  }
}

void to_floats(NumberType type, const std::byte* from, index_t count, float* out) {
  switch (type) {
    case NumberType::uint8:
      return convert<std::uint8_t>(from, count, out);
    case NumberType::float32:
      return convert<float>(from, count, out);
    case NumberType::float64:
      return convert<double>(from, count, out);
  }
}

}  // namespace

index_t bytes_of(NumberType type) {
  constexpr std::array<index_t, 3> bytes = {1, 4, 8};
  return bytes[as_size(type)];
}

std::string_view name(NumberType type) {
  constexpr std::array<std::string_view, 3> names = {"uint8", "float32", "float64"};
  return names[as_size(type)];
}

NumberArray::NumberArray(std::string name, NumberType type, tensor::Shape shape, std::vector<std::byte> values)
    : name_(std::move(name)),
      type_(type),
      shape_(std::move(shape)),
      row_size_(row_size_of(shape_)),
      values_(std::move(values)) {
  SY_EXPECTS(std::ssize(values_) == rows() * row_size_ * bytes_of(type_), "{} bytes of {} numbers",
             values_.size(), rows() * row_size_);
}

NumberArray::NumberArray(std::string name, NumberType type, tensor::Shape shape, files::File file,
                         index_t offset)
    : name_(std::move(name)),
      type_(type),
      shape_(std::move(shape)),
      row_size_(row_size_of(shape_)),
      file_(std::move(file)),
      opened_(file_.state()),
      offset_(offset) {
  const index_t end = offset_ + rows() * row_size_ * bytes_of(type_);
  if (opened_.size_bytes >= end) return;
  throw DataError(fmt::format("{} ends behind byte {} of a file of {} (it is truncated); write it again", name_,
                              end, opened_.size_bytes));
}

void NumberArray::expect_unchanged() const {
  const files::File::State now = file_.state();
  if (now.size_bytes == opened_.size_bytes && now.modified_ns == opened_.modified_ns) return;
  throw DataError(
      fmt::format("{} was changed while it is read (its rows are read when a batch needs them); leave the "
                  "file alone as long as a run uses it, and start again",
                  name_));
}

void NumberArray::read(IndexRange numbers, float* out) const {
  SY_EXPECTS(numbers.begin >= 0 && numbers.end <= rows() * row_size_, "numbers {} to {} of {}", numbers.begin,
             numbers.end, rows() * row_size_);
  const index_t bytes = bytes_of(type_);
  if (!file_) return to_floats(type_, values_.data() + numbers.begin * bytes, numbers.size(), out);
  expect_unchanged();
  std::array<std::byte, 16384> buffer;
  const index_t most = std::ssize(buffer) / bytes;
  try {
    for (index_t at = numbers.begin; at < numbers.end; at += most) {
      const index_t count = std::min(most, numbers.end - at);
      file_.read_at(offset_ + at * bytes, Span(buffer).first(count * bytes));
      to_floats(type_, buffer.data(), count, out + (at - numbers.begin));
    }
  } catch (const files::Failure& failure) {
    throw DataError(fmt::format("{} cannot be read ({}); look at the disk", name_, failure.what()));
  }
}

}  // namespace switchyard::data::detail
